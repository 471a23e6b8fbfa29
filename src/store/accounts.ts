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
}

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
    create: ({ name, role, ports = null, quotaForwards = null, quotaPorts = null, actor = OPERATOR }, nowMs) =>
      db.transaction().execute(async (trx) => {
        if ((await findAccount(trx, name)) !== null) {
          const message = `There is an account ${JSON.stringify(name)} already: choose another name.`;
          return err({ kind: "name-taken" as const, message });
        }
        const id = randomBytes(ID_BYTES).toString("hex");
        const account = { id, name, role, ports, quotaForwards, quotaPorts, createdMs: nowMs };
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
    setLimits: (nameOrId, { ports, quotaForwards, quotaPorts }, nowMs, actor = OPERATOR) =>
      db.transaction().execute(async (trx) => {
        const account = await findAccount(trx, nameOrId);
        if (account === null) {
          const message = `There is no account ${JSON.stringify(nameOrId)}.`;
          return err({ kind: "unknown" as const, message });
        }
        await trx
          .updateTable("accounts")
          .set({ ports, quota_forwards: quotaForwards, quota_ports: quotaPorts })
          .where("id", "=", account.id)
          .execute();
        const detail = { ports, quotaForwards, quotaPorts };
        await appendAudit(trx, { actor, action: "account.limited", subject: `account:${account.id}`, detail }, nowMs);
        return ok({ ...account, ...detail });
      }),
  };
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
    ports: row.ports,
    quotaForwards: row.quota_forwards,
    quotaPorts: row.quota_ports,
    createdMs: row.created_ms,
  };
}

function toRow(account: Account): Selectable<AccountsTable> {
  return {
    id: account.id,
    name: account.name,
    role: account.role,
    ports: account.ports,
    quota_forwards: account.quotaForwards,
    quota_ports: account.quotaPorts,
    created_ms: account.createdMs,
  };
}
