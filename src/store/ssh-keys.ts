import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import { sshFingerprint } from "../os/ssh-key.ts";
import { err, ok, type Result } from "../wire/result.ts";
import type { KeyLine } from "../wire/ssh/public-key.ts";
import { FIRST_ACCOUNT_ID, findAccount } from "./accounts.ts";
import { appendAudit, OPERATOR } from "./audit.ts";
import { type Device, devicesOn, devicesToBe, forgetForwards, toDevice } from "./devices.ts";
import { endJoinCodes } from "./join-codes.ts";
import type { Db, SshKeysTable } from "./schema.ts";

/** A public key by which an SSH client is a device. */
export interface StoredSshKey {
  /** `SHA256:…`, as ssh-keygen -l shows it: its id. */
  readonly fingerprint: string;
  readonly deviceId: string;
  readonly type: string;
  readonly comment: string;
  readonly createdMs: number;
  readonly lastUsedMs: number | null;
}

export interface NewSshKey extends KeyLine {
  /** One that the account has gets the key as well; one that it has not is made. */
  readonly deviceName: string;
  /** Name or id; absent = the first account. */
  readonly account?: string;
  /** What a new device may open, as a port set; absent = the account's whole pool. */
  readonly ports?: string;
  readonly actor?: string;
}

export interface SshKeyRefusal {
  readonly kind: "unknown-account" | "key-taken" | "too-many" | "quota" | "ports" | "unknown";
  /** One sentence that says what to do, to somebody who sees every account. */
  readonly message: string;
}

export interface SshKeyRemoval {
  /** Absent = the operator. */
  readonly actor?: string;
  /** Only a key of this account; absent = of any. */
  readonly accountId?: string;
}

export interface KeyOfDevice {
  readonly key: StoredSshKey;
  readonly device: Device;
}

export interface RemovedSshKey extends KeyOfDevice {
  /** It was the last key of a device that has no other way in: the device was revoked. */
  readonly deviceRevoked: boolean;
}

export interface SshKeys {
  add(request: NewSshKey, nowMs: number): Promise<Result<KeyOfDevice, SshKeyRefusal>>;
  /** Whose key it is; null for an unknown one, and for one of a revoked device. */
  find(blob: Uint8Array): Promise<KeyOfDevice | null>;
  /** Of devices that are not revoked, by account, device and age. */
  list(): Promise<KeyOfDevice[]>;
  remove(fingerprint: string, nowMs: number, removal?: SshKeyRemoval): Promise<Result<RemovedSshKey, SshKeyRefusal>>;
  /** Notes when it was used; false = it was removed. Once a connection: each call is an fsync. */
  touch(fingerprint: string, nowMs: number): Promise<boolean>;
}

const ID_BYTES = 8;
/** In the place of the key of a device that no agent is: no key in hexadecimal is equal to it. */
const NO_AGENT_KEY = "ssh:";
/** Of one device: people have a few machines. */
export const MOST_KEYS = 64;

export function sshKeysOn(db: Db): SshKeys {
  return {
    add: (request, nowMs) => db.transaction().execute((trx) => addKey(trx, request, nowMs)),
    async find(blob) {
      const [found] = await keysWith(db, sshFingerprint(blob));
      return found ?? null;
    },
    list: () => keysWith(db, null),
    remove: (fingerprint, nowMs, removal = {}) =>
      db.transaction().execute((trx) => removeKey(trx, fingerprint, nowMs, removal)),
    async touch(fingerprint, nowMs) {
      const { numUpdatedRows } = await db
        .updateTable("ssh_keys")
        .set({ last_used_ms: nowMs })
        .where("fingerprint", "=", fingerprint)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  };
}

async function keysWith(db: Db, fingerprint: string | null): Promise<KeyOfDevice[]> {
  const rows = await db
    .selectFrom("ssh_keys")
    .innerJoin("devices", "devices.id", "ssh_keys.device_id")
    .selectAll("devices")
    .select([
      "ssh_keys.fingerprint",
      "ssh_keys.device_id",
      "ssh_keys.type",
      "ssh_keys.blob",
      "ssh_keys.comment",
      "ssh_keys.created_ms as key_created_ms",
      "ssh_keys.last_used_ms",
    ])
    .where("devices.revoked_ms", "is", null)
    .$if(fingerprint !== null, (query) => query.where("ssh_keys.fingerprint", "=", fingerprint ?? ""))
    .orderBy("devices.account_id")
    .orderBy("devices.name")
    .orderBy("ssh_keys.created_ms")
    .orderBy("ssh_keys.fingerprint")
    .execute();
  return rows.map((row) => ({ key: toKey({ ...row, created_ms: row.key_created_ms }), device: toDevice(row) }));
}

async function addKey(trx: Db, request: NewSshKey, nowMs: number): Promise<Result<KeyOfDevice, SshKeyRefusal>> {
  const { key, comment, deviceName, ports = null, actor = OPERATOR } = request;
  const account = await findAccount(trx, request.account ?? FIRST_ACCOUNT_ID);
  if (account === null) {
    return refuse("unknown-account", `There is no account ${JSON.stringify(request.account)}.`);
  }
  const fingerprint = sshFingerprint(key.blob);
  const [taken] = await keysWith(trx, fingerprint);
  if (taken !== undefined) {
    const message = `The device ${JSON.stringify(taken.device.name)} has this key already: a key is one device's; remove it there first with hatchway ssh-key rm.`;
    return refuse("key-taken", message);
  }
  if (key.parts.kind === "ed25519") {
    const agent = await devicesOn(trx).findByKey(key.parts.publicKey);
    if (agent !== null) {
      const message = `It is the key of the agent of ${JSON.stringify(agent.name)}, who is let in by it already: give another one.`;
      return refuse("key-taken", message);
    }
  }
  // Of a device that was revoked.
  await trx.deleteFrom("ssh_keys").where("fingerprint", "=", fingerprint).execute();
  const present = await trx
    .selectFrom("devices")
    .selectAll()
    .where("account_id", "=", account.id)
    .where("name", "=", deviceName)
    .where("revoked_ms", "is", null)
    .executeTakeFirst();
  if (present !== undefined && ports !== null && ports !== present.ports) {
    const message = `The device ${JSON.stringify(deviceName)} is there already, with other ports: leave --ports out, or give the key to a device of another name.`;
    return refuse("ports", message);
  }
  if (present === undefined && account.quotaDevices !== null) {
    const { quotaDevices, name } = account;
    if ((await devicesToBe(trx, account.id, deviceName, nowMs)) >= quotaDevices) {
      const message = `The account ${name} may have ${quotaDevices} devices, and has or awaits as many: remove one first, or ask an administrator for more.`;
      return refuse("quota", message);
    }
  }
  if (present !== undefined && (await countKeys(trx, present.id)) >= MOST_KEYS) {
    return refuse("too-many", `The device ${JSON.stringify(deviceName)} has ${MOST_KEYS} keys: remove one first.`);
  }
  const device = present ?? (await makeDevice(trx, { account_id: account.id, name: deviceName, ports }, nowMs));
  const row = {
    fingerprint,
    device_id: device.id,
    type: key.type,
    blob: key.blob.toBase64(),
    comment,
    created_ms: nowMs,
    last_used_ms: null,
  };
  await trx.insertInto("ssh_keys").values(row).execute();
  const detail = { device: deviceName, account: account.name, fingerprint, comment };
  await appendAudit(trx, { actor, action: "ssh-key.added", subject: `device:${device.id}`, detail }, nowMs);
  return ok({ key: toKey(row), device: toDevice(device) });
}

async function countKeys(trx: Db, deviceId: string): Promise<number> {
  const rows = await trx.selectFrom("ssh_keys").select("fingerprint").where("device_id", "=", deviceId).execute();
  return rows.length;
}

/** An open join code for the name ends, as one for it would: who redeemed it would find the name taken. */
async function makeDevice(
  trx: Db,
  granted: { readonly account_id: string; readonly name: string; readonly ports: string | null },
  nowMs: number,
) {
  const id = randomBytes(ID_BYTES).toString("hex");
  await endJoinCodes(trx, granted.account_id, granted.name, nowMs);
  return await trx
    .insertInto("devices")
    .values({
      ...granted,
      id,
      public_key: `${NO_AGENT_KEY}${id}`,
      created_ms: nowMs,
      last_seen_ms: null,
      last_address: null,
      revoked_ms: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function removeKey(
  trx: Db,
  fingerprint: string,
  nowMs: number,
  { actor = OPERATOR, accountId }: SshKeyRemoval,
): Promise<Result<RemovedSshKey, SshKeyRefusal>> {
  const all = await keysWith(trx, null);
  const found = all.find(({ key }) => key.fingerprint === fingerprint);
  if (found === undefined || (accountId !== undefined && found.device.accountId !== accountId)) {
    return refuse("unknown", `There is no SSH key ${JSON.stringify(fingerprint)}: hatchway ssh-key ls lists them.`);
  }
  const { key, device } = found;
  await trx.deleteFrom("ssh_keys").where("fingerprint", "=", key.fingerprint).execute();
  const detail = { device: device.name, fingerprint: key.fingerprint, comment: key.comment };
  await appendAudit(trx, { actor, action: "ssh-key.removed", subject: `device:${device.id}`, detail }, nowMs);
  const others = all.some((other) => other.device.id === device.id && other.key.fingerprint !== key.fingerprint);
  const deviceRevoked = !others && device.publicKey.length === 0;
  if (deviceRevoked) {
    await trx.updateTable("devices").set({ revoked_ms: nowMs }).where("id", "=", device.id).execute();
    await forgetForwards(trx, device.id);
    const event = { actor, action: "device.revoked", subject: `device:${device.id}`, detail: { name: device.name } };
    await appendAudit(trx, event, nowMs);
  }
  return ok({ key, device, deviceRevoked });
}

function refuse(kind: SshKeyRefusal["kind"], message: string) {
  return err<SshKeyRefusal>({ kind, message });
}

function toKey(row: Omit<Selectable<SshKeysTable>, "blob">): StoredSshKey {
  return {
    fingerprint: row.fingerprint,
    deviceId: row.device_id,
    type: row.type,
    comment: row.comment,
    createdMs: row.created_ms,
    lastUsedMs: row.last_used_ms,
  };
}
