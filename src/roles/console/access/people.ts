import { type AccessBackend, ApiFailure } from "../../../servers/api/backend.ts";
import type { User, UserPatch } from "../../../servers/api/schema.ts";
import type { AccountLimits } from "../../../store/accounts.ts";
import type { StoredUser, UserRefusal } from "../../../store/users.ts";
import { formatPortSet, parsePortSet } from "../../../wire/port-set.ts";
import { parseBandwidth } from "../../config/units.ts";
import { type AccessOptions, actorOf } from "./context.ts";
import { demand, noSuch, wrongField } from "./failures.ts";

type PeopleMethods = Pick<AccessBackend, "listUsers" | "changeUser" | "removeUser">;

/** Who is here, what they may do, and their end. Administrators alone. */
export function peopleMethods({ store, wallMs, endDevice, accountChanged }: AccessOptions): PeopleMethods {
  return {
    async listUsers(who, { limit, cursor }) {
      demand(who, "people.read");
      const users = await store.users.list({ after: cursor === null ? null : parseCursor(cursor), limit: limit + 1 });
      const items = users.slice(0, limit);
      const last = users.length > limit ? items.at(-1) : undefined;
      return { items: items.map(toUser), next: last === undefined ? null : formatCursor(last) };
    },
    async changeUser(who, id, patch) {
      demand(who, "people.change");
      const { role, disabled, quota } = patch;
      if (role !== undefined || disabled === false) demand(who, "people.admit");
      const limits = quota === undefined ? undefined : limitsOf(quota);
      const change = {
        ...(role === undefined ? {} : { role }),
        ...(disabled === undefined ? {} : { disabled }),
        ...(limits === undefined ? {} : { limits }),
      };
      const changed = await store.users.change(id, change, wallMs(), actorOf(who));
      if (!changed.ok) throw refusal(changed.error);
      if (limits !== undefined) await accountChanged(changed.value.account.id);
      return toUser(changed.value);
    },
    async removeUser(who, id) {
      demand(who, "people.change");
      const devices = await store.users.removal(id);
      if (!devices.ok) throw refusal(devices.error);
      // First what runs, then what is stored: if this is broken off, it can be asked for again.
      for (const deviceId of devices.value) await endDevice(deviceId, actorOf(who));
      const removed = await store.users.remove(id, wallMs(), actorOf(who));
      if (!removed.ok) throw refusal(removed.error);
      await accountChanged(removed.value.user.account.id);
    },
  };
}

function refusal({ kind, message }: UserRefusal): ApiFailure {
  switch (kind) {
    case "unknown":
      return noSuch("person");
    case "last-admin":
      return new ApiFailure("conflict", message);
    default:
      return kind satisfies never;
  }
}

function limitsOf(quota: NonNullable<UserPatch["quota"]>): Partial<AccountLimits> {
  const { ports, maxForwards, maxPorts, maxDevices, bandwidth } = quota;
  return {
    ...(ports === undefined ? {} : { ports: ports === null ? null : portsOf(ports) }),
    ...(maxForwards === undefined ? {} : { quotaForwards: maxForwards }),
    ...(maxPorts === undefined ? {} : { quotaPorts: maxPorts }),
    ...(maxDevices === undefined ? {} : { quotaDevices: maxDevices }),
    ...(bandwidth === undefined ? {} : { quotaBandwidth: bandwidth === null ? null : bandwidthOf(bandwidth) }),
  };
}

function bandwidthOf(text: string): number {
  const parsed = parseBandwidth(text);
  if (!parsed.ok) throw wrongField("quota.bandwidth", parsed.error.message);
  return parsed.value;
}

function portsOf(text: string): string {
  const parsed = parsePortSet(text);
  if (!parsed.ok) throw wrongField("quota.ports", parsed.error.message);
  return formatPortSet(parsed.value);
}

const CURSOR = /^(\d{1,16})-([0-9a-f]{1,32})$/;

function formatCursor({ createdMs, id }: StoredUser): string {
  return `${createdMs}-${id}`;
}

function parseCursor(text: string): { readonly createdMs: number; readonly id: string } {
  const [, createdMs, id] = CURSOR.exec(text) ?? [];
  if (createdMs === undefined || id === undefined) {
    throw wrongField("cursor", "Use the cursor of the page before, or none.");
  }
  return { createdMs: Number(createdMs), id };
}

function toUser(user: StoredUser): User {
  const { id, name, role, account, createdMs, lastSeenMs, disabled, totpSecret, passkeys } = user;
  return {
    id,
    name,
    role,
    account: { id: account.id, name: account.name },
    createdMs,
    lastSeenMs,
    disabled,
    hasTotp: totpSecret !== null,
    passkeys,
    quota: {
      ports: account.ports,
      maxForwards: account.quotaForwards,
      maxPorts: account.quotaPorts,
      maxDevices: account.quotaDevices,
      bandwidthBytesPerSec: account.quotaBandwidth,
    },
  };
}
