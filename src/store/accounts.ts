import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import { err, ok, type Result } from "../wire/result.ts";
import { appendAudit, OPERATOR } from "./audit.ts";
import type { AccountsTable, Db } from "./schema.ts";

export interface AccountLimits {
  /** The pool its devices may open, as a port set; null = the relay's whole pool. */
  readonly ports: string | null;
  /** Null = no limit. */
  readonly quotaForwards: number | null;
  /** A range counts as many ports as it spans; null = no limit. */
  readonly quotaPorts: number | null;
  /** Null = no limit. */
  readonly quotaDevices: number | null;
  /** Of all that its forwards carry together, both directions, bytes a second; null = no limit. */
  readonly quotaBandwidth: number | null;
}

export const NO_LIMITS: AccountLimits = {
  ports: null,
  quotaForwards: null,
  quotaPorts: null,
  quotaDevices: null,
  quotaBandwidth: null,
};

export interface Account extends AccountLimits {
  readonly id: string;
  readonly name: string;
  readonly role: "admin" | "user";
  readonly createdMs: number;
}

export interface NewAccount extends Partial<AccountLimits> {
  readonly name: string;
  readonly role: "admin" | "user";
  readonly actor?: string;
}

export interface AccountError {
  readonly kind: "name-taken" | "unknown";
  readonly message: string;
}

/** A relay has one account, `owner`, from its first start. */
export interface Accounts {
  create(request: NewAccount, nowMs: number): Promise<Result<Account, AccountError>>;
  /** Oldest first. */
  list(): Promise<Account[]>;
  find(nameOrId: string): Promise<Account | null>;
  setLimits(
    nameOrId: string,
    limits: AccountLimits,
    nowMs: number,
    actor?: string,
  ): Promise<Result<Account, AccountError>>;
}

const ID_BYTES = 8;

export function accountsOn(db: Db): Accounts {
  return {
    create: ({ name, role, actor = OPERATOR, ...limits }, nowMs) =>
      db.transaction().execute(async (trx) => {
        if ((await findAccount(trx, name)) !== null) {
          const message = `There is an account ${JSON.stringify(name)} already: choose another name.`;
          return err({ kind: "name-taken" as const, message });
        }
        const id = randomBytes(ID_BYTES).toString("hex");
        const account = { id, name, role, ...NO_LIMITS, ...limits, createdMs: nowMs };
        await trx.insertInto("accounts").values(toRow(account)).execute();
        const event = { actor, action: "account.created", subject: `account:${id}`, detail: { name, role } };
        await appendAudit(trx, event, nowMs);
        return ok(account);
      }),
    async list() {
      const rows = await db.selectFrom("accounts").selectAll().orderBy("created_ms").orderBy("id").execute();
      return rows.map(toAccount);
    },
    find: (nameOrId) => findAccount(db, nameOrId),
    setLimits: (nameOrId, limits, nowMs, actor = OPERATOR) =>
      db.transaction().execute(async (trx) => {
        const account = await findAccount(trx, nameOrId);
        if (account === null) {
          const message = `There is no account ${JSON.stringify(nameOrId)}.`;
          return err({ kind: "unknown" as const, message });
        }
        await writeLimits(trx, account.id, limits, nowMs, actor);
        return ok({ ...account, ...limits });
      }),
  };
}

/** With the line of the audit log. */
export async function writeLimits(
  trx: Db,
  accountId: string,
  limits: AccountLimits,
  nowMs: number,
  actor: string,
): Promise<void> {
  await trx.updateTable("accounts").set(toLimitColumns(limits)).where("id", "=", accountId).execute();
  const event = { actor, action: "account.limited", subject: `account:${accountId}`, detail: { ...limits } };
  await appendAudit(trx, event, nowMs);
}

/** An id wins over a name that is spelled like it. */
export async function findAccount(db: Db, nameOrId: string): Promise<Account | null> {
  const rows = await db
    .selectFrom("accounts")
    .selectAll()
    .where((where) => where.or([where("id", "=", nameOrId), where("name", "=", nameOrId)]))
    .execute();
  const row = rows.find(({ id }) => id === nameOrId) ?? rows[0];
  return row === undefined ? null : toAccount(row);
}

/** Whose a device is when nobody said. It comes with the database (migration 1) and nothing removes it. */
export const FIRST_ACCOUNT_ID = "owner";

function toAccount(row: Selectable<AccountsTable>): Account {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    ...toLimits(row),
    createdMs: row.created_ms,
  };
}

function toRow(account: Account): Selectable<AccountsTable> {
  return {
    id: account.id,
    name: account.name,
    role: account.role,
    ...toLimitColumns(account),
    created_ms: account.createdMs,
  };
}

export type LimitColumns = Pick<
  AccountsTable,
  "ports" | "quota_forwards" | "quota_ports" | "quota_devices" | "quota_bandwidth"
>;
export const LIMIT_COLUMNS = [
  "ports",
  "quota_forwards",
  "quota_ports",
  "quota_devices",
  "quota_bandwidth",
] as const satisfies readonly (keyof LimitColumns)[];

export function toLimits(row: LimitColumns): AccountLimits {
  return {
    ports: row.ports,
    quotaForwards: row.quota_forwards,
    quotaPorts: row.quota_ports,
    quotaDevices: row.quota_devices,
    quotaBandwidth: row.quota_bandwidth,
  };
}

export function toLimitColumns(limits: AccountLimits): LimitColumns {
  return {
    ports: limits.ports,
    quota_forwards: limits.quotaForwards,
    quota_ports: limits.quotaPorts,
    quota_devices: limits.quotaDevices,
    quota_bandwidth: limits.quotaBandwidth,
  };
}
