import { nameKey } from "../../core/access/name.ts";
import type { AuditEntry, DeviceInfo, ForwardInfo, PersonInfo, RelayStatus } from "../../roles/control.ts";
import { forwardCalled, tokenCalled } from "../../roles/named.ts";
import {
  type Client,
  type Device,
  everything,
  type Forward,
  type Overview,
  type PageAsk,
  type User,
} from "../../servers/api/client.ts";
import { ControlError } from "../../servers/local/error.ts";
import { CONTROL_VERSION } from "../../servers/local/protocol.ts";
import type { AskedRelay } from "../asked-relay.ts";
import { draftOf } from "./draft.ts";
import { remoteSshKeys } from "./ssh-keys.ts";

/** Of the most that one answer holds. */
const PAGE: PageAsk = { limit: 500 };

/** A relay that is asked over its API, as if it ran on this machine: what its token's owner may see and change. */
export function remoteRelay(client: Client): AskedRelay {
  const forwards = () => collected(everything((ask) => client.listForwards({ ...PAGE, ...ask })));
  const devices = () => collected(everything((ask) => client.listDevices({ ...PAGE, ...ask })));
  const people = () => collected(everything((ask) => client.listUsers({ ...PAGE, ...ask })));
  const device = async (nameOrId: string) => deviceCalled(nameOrId, await devices());
  const person = async (name: string) => personCalled(name, await people());
  const tokens = async (owner: string | null) => {
    if (owner !== null) await demandOwn(client, owner);
    return (await client.listTokens()).items;
  };
  return {
    status: async () => relayStatus(await client.getOverview()),
    listForwards: async () => (await forwards()).map(forwardInfo),
    async addForward(request) {
      const { id } = await device(request.device);
      const { value } = await client.addForward(draftOf({ ...request, device: id }), { replace: true });
      return { v: CONTROL_VERSION, forward: forwardInfo(value) };
    },
    async changeForward(nameOrId, deviceName, patch) {
      const named = (await forwards()).map((one) => ({ ...one, isRelays: one.editable }));
      const { value } = await client.changeForward(forwardCalled(nameOrId, deviceName, named).id, patch);
      return { v: CONTROL_VERSION, forward: forwardInfo(value) };
    },
    async removeForward(nameOrId, deviceName) {
      const named = (await forwards()).map((one) => ({ ...one, isRelays: one.removable }));
      const forward = forwardCalled(nameOrId, deviceName, named);
      await client.removeForward(forward.id);
      return forwardInfo(forward);
    },
    listDevices: async () => (await devices()).map(deviceInfo),
    async revokeDevice(nameOrId) {
      const found = await device(nameOrId);
      await client.removeDevice(found.id);
      return { ...deviceInfo(found), connected: false, address: null, rttMs: null, forwards: 0, revoked: true };
    },
    createJoinCode: async (request) => (await client.makeJoinCode(request)).code,
    listPeople: async () => (await people()).map(personInfo),
    invitePerson: async (request) => (await client.makeInvite(request)).link,
    async audit({ afterId, sinceMs, limit }) {
      const found: AuditEntry[] = [];
      // Newest first.
      for await (const entry of client.auditLines()) {
        if (entry.id <= afterId) break;
        if (entry.atMs >= sinceMs) found.push(entry);
      }
      return found.reverse().slice(0, limit);
    },
    async resetPerson() {
      throw new ControlError(
        "usage",
        "A password is reset on the relay's machine alone: run `hatchway user reset` there.",
      );
    },
    async changePerson({ name, ...change }) {
      return personInfo(await client.changeUser((await person(name)).id, change));
    },
    async removePerson(name) {
      const found = await person(name);
      await client.removeUser(found.id);
      return personInfo(found);
    },
    listTokens: ({ person: owner }) => tokens(owner),
    async makeToken({ person: owner, name, scope, lifetimeSec }) {
      if (owner !== null) await demandOwn(client, owner);
      return await client.makeToken({ name, scopes: [scope], lifetimeSec });
    },
    async removeToken({ person: owner, nameOrId }) {
      const token = tokenCalled(nameOrId, await tokens(owner));
      await client.removeToken(token.id);
      return token;
    },
    ...remoteSshKeys(client),
    visits: async () =>
      (await collected(everything((ask) => client.listVisits({ ...PAGE, ...ask })))).toSorted(
        (a, b) => (a.openedMs ?? 0) - (b.openedMs ?? 0),
      ),
  };
}

/** The API shows everybody their own tokens, and nobody another's. */
async function demandOwn(client: Client, owner: string): Promise<void> {
  const { name } = await client.getMe();
  if (nameKey(owner) === nameKey(name)) return;
  throw new ControlError("refused", `By --remote you have to do with the tokens of ${name} alone: leave --user out.`);
}

function deviceCalled(nameOrId: string, devices: readonly Device[]): Device {
  const byId = devices.find(({ id }) => id === nameOrId);
  const [device, ...others] = byId === undefined ? devices.filter(({ name }) => name === nameOrId) : [byId];
  const quoted = JSON.stringify(nameOrId);
  if (device === undefined) {
    throw new ControlError("usage", `There is no device ${quoted}: hatchway devices ls lists them.`);
  }
  if (others.length === 0) return device;
  const count = others.length + 1;
  throw new ControlError(
    "usage",
    `${count} accounts have a device ${quoted}: give its id, which hatchway devices ls shows.`,
  );
}

function personCalled(name: string, people: readonly User[]): User {
  const person = people.find((one) => nameKey(one.name) === nameKey(name));
  if (person !== undefined) return person;
  throw new ControlError("usage", `There is no person ${JSON.stringify(name)}: "hatchway user ls" lists them.`);
}

function relayStatus(overview: Overview): RelayStatus {
  const { version, pid, startedMs, memoryBytes, counters, listen, publicHost, ports, fingerprint, draining } = overview;
  if (listen === null || publicHost === null || fingerprint === null) {
    throw new ControlError("usage", "There is a gateway at that address and no relay: ask it on its own machine.");
  }
  return {
    role: "relay",
    v: CONTROL_VERSION,
    version,
    pid,
    startedMs,
    memoryBytes,
    forwardsOpen: overview.forwards.open,
    counters,
    listen,
    publicHost,
    ports,
    fingerprint,
    devicesConnected: overview.devices.connected,
    devicesEnrolled: overview.devices.enrolled,
    draining,
    consoleCertificate: overview.consoleCertificate,
  };
}

/** Its id is the API's: unique on the relay, as the visits have it. */
function forwardInfo(forward: Forward): ForwardInfo {
  const { id, name, way, origin, device, group, state, message, endpoints, leaseEndsMs, counters, site } = forward;
  const isKernels = way === "kernel";
  return {
    id,
    name,
    type: isKernels ? "mapping" : "remote",
    origin,
    device: device.name,
    group,
    state,
    message,
    endpoints,
    ...(site == null ? {} : { site }),
    via: isKernels ? "kernel" : `agent:${device.name}`,
    leaseEndsMs,
    counters,
  };
}

/** The API lists no device that was revoked. */
function deviceInfo({ managed: _, account, ...device }: Device): DeviceInfo {
  return { ...device, account: account.name, revoked: false };
}

function personInfo({ quota: _, account, ...user }: User): PersonInfo {
  return { ...user, account: account.name };
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
