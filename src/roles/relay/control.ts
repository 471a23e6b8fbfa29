import type { HeldForward } from "../../core/held.ts";
import type { SiteCertificate } from "../../core/names/certificates.ts";
import { residentBytes } from "../../os/memory.ts";
import { OPERATOR } from "../../store/audit.ts";
import type { Store } from "../../store/store.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { encodeJoinCode } from "../../wire/join-code.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import { changed } from "../change.ts";
import {
  type AddReply,
  type AssignRequest,
  ControlError,
  type DeviceInfo,
  type ForwardInfo,
  type ForwardPatch,
  type JoinCodeRequest,
  type RelayControl,
  type RelayStatus,
  type ReloadReport,
  type VisitInfo,
} from "../control.ts";
import { forwardCalled } from "../named.ts";
import { peopleControl } from "../people.ts";
import { siteInfo } from "../site-info.ts";
import { byAge, countersOf, NO_COUNTERS, sumCounters, totalsOf, V, visitInfos } from "../views.ts";
import type { DeviceLink } from "./device-link.ts";
import type { RelayDials } from "./dials.ts";
import { forwardState } from "./forward-state.ts";
import type { RelayForwards } from "./forwards.ts";
import type { HandOver } from "./hand-over.ts";
import { type SshKeysView, sshKeysControl } from "./ssh/keys.ts";

export interface RelayView extends SshKeysView {
  readonly store: Store;
  readonly forwards: RelayForwards;
  readonly dials: RelayDials;
  /** SHA-256 of the certificate's SPKI. */
  fingerprint(): Uint8Array;
  readonly trust: "pinned" | "public-ca";
  readonly version: string;
  readonly startedMs: number;
  /** The device's present link. */
  session(deviceId: string): DeviceLink | undefined;
  /** `host`, as the agent port is bound, and its port. */
  listen(): { readonly host: string; readonly port: number };
  publicHost(link: Pick<DeviceLink, "localAddress"> | undefined): string;
  /** Where people open the console; empty while that is not known. */
  consoleUrl(): string;
  consoleCertificate(): RelayStatus["consoleCertificate"];
  /** See StateMeans. */
  certificateOf(host: string): SiteCertificate;
  /** The pool as a port set. */
  ports(): string;
  draining(): boolean;
  wallMs(): number;
  /** What the account has, or whose it is, may be another now: also on a gateway in the same process. */
  accountChanged(accountId: string): Promise<void>;
  /** Cuts a revoked device's session. */
  cut(deviceId: string): void;
  reload(): Promise<ReloadReport>;
  /** For another process of this relay. */
  handOver(): Pick<HandOver, "offer" | "declined" | "upgrade">;
}

/** What local commands may ask a running relay. */
export function relayControl(relay: RelayView): RelayControl {
  return {
    status: () => status(relay),
    listForwards: async () => [...relay.forwards.list()].map((forward) => forwardInfo(relay, forward)),
    addForward: (request) => addForward(relay, request),
    changeForward: (idOrName, device, patch) => changeForward(relay, idOrName, device, patch),
    removeForward: (idOrName, device) => removeForward(relay, idOrName, device),
    listDevices: () => listDevices(relay),
    revokeDevice: (nameOrId) => revoke(relay, nameOrId, OPERATOR),
    createJoinCode: (request) => createJoinCode(relay, request, OPERATOR),
    ...sshKeysControl(relay),
    ...peopleControl({ ...relay, endDevice: async (id) => void (await revoke(relay, id, OPERATOR)) }),
    reload: () => relay.reload(),
    visits: async () => visits(relay),
    audit: (request) => relay.store.audit.from(request),
    handOver: () => relay.handOver().offer(),
    declineUpgrade: async (message) => relay.handOver().declined(message),
    upgrade: (request) => relay.handOver().upgrade(request),
  };
}

export async function status(relay: RelayView): Promise<RelayStatus> {
  const devices = await relay.store.devices.list();
  const states = [...relay.forwards.list()].map((held) => forwardState(held, relay).state);
  const { host, port } = relay.listen();
  return {
    role: "relay",
    ...V,
    version: relay.version,
    pid: process.pid,
    startedMs: relay.startedMs,
    memoryBytes: residentBytes(),
    forwardsOpen: states.filter((state) => state === "open").length,
    counters: sumCounters([relay.forwards.total(), totalsOf(relay.dials.visits.counters)]),
    listen: formatHostPort(host, port),
    publicHost: relay.publicHost(undefined),
    ports: relay.ports(),
    fingerprint: Buffer.from(relay.fingerprint()).toString("hex"),
    devicesConnected: devices.filter(({ id }) => relay.session(id) !== undefined).length,
    devicesEnrolled: devices.length,
    draining: relay.draining(),
    consoleCertificate: relay.consoleCertificate(),
  };
}

/** Assigns a forward to a device. One of the same id is replaced. */
async function addForward(relay: RelayView, { device: nameOrId, spec, to }: AssignRequest): Promise<AddReply> {
  const found = await relay.store.devices.find(nameOrId);
  if (!found.ok) throw new ControlError("usage", found.error.message);
  const device = found.value;
  const held = relay.forwards.get(device.id, spec.id);
  if (held !== null && relay.forwards.assignments.get(device.id, spec.id) === null) {
    const message = `Device "${device.name}" has a forward "${held.spec.name}" of its own by that id: choose another name.`;
    throw new ControlError("usage", message);
  }
  return await assign(relay, { account: device.accountId, device: device.id }, { name: device.name, spec, to });
}

async function assign(
  relay: RelayView,
  owner: HeldForward["owner"],
  wanted: { readonly name: string } & Pick<AssignRequest, "spec" | "to">,
): Promise<AddReply> {
  const assigned = await relay.forwards.assign(owner, { ...wanted, actor: OPERATOR });
  if (!assigned.ok) {
    const { why, message } = assigned.error;
    throw new ControlError(why === "policy" ? "refused" : "failed", message);
  }
  return { ...V, forward: forwardInfo(relay, assigned.value) };
}

async function changeForward(
  relay: RelayView,
  idOrName: string,
  device: string | null,
  patch: ForwardPatch,
): Promise<AddReply> {
  const { held, to, device: owner } = assignedForward(relay, idOrName, device);
  return await assign(relay, held.owner, { name: owner.name, ...(await changed({ spec: held.spec, to }, patch)) });
}

async function removeForward(relay: RelayView, idOrName: string, device: string | null): Promise<ForwardInfo> {
  const { held } = assignedForward(relay, idOrName, device);
  const info = forwardInfo(relay, held);
  await relay.forwards.unassign(held.owner.device, held.spec.id, OPERATOR);
  return info;
}

/** The one that is meant: those that were not assigned are their devices'. Throws ControlError `usage`. */
function assignedForward(relay: RelayView, idOrName: string, device: string | null) {
  const named = [...relay.forwards.list()].map((held) => {
    const assigned = relay.forwards.assignments.get(held.owner.device, held.spec.id);
    return {
      held,
      id: held.spec.id,
      name: held.spec.name,
      device: { id: held.owner.device, name: relay.forwards.deviceName(held.owner.device) },
      isRelays: assigned !== null,
      to: assigned?.to ?? "",
    };
  });
  return forwardCalled(idOrName, device, named);
}

function forwardInfo(relay: RelayView, forward: HeldForward): ForwardInfo {
  const { owner, spec } = forward;
  const assigned = relay.forwards.assignments.get(owner.device, spec.id);
  const shared = relay.forwards.entryOf(forward);
  const { state, message } = forwardState(forward, relay);
  return {
    id: spec.id,
    name: spec.name,
    type: "remote",
    origin: assigned === null ? "cli" : "api",
    device: relay.forwards.deviceName(owner.device),
    group: spec.group,
    state,
    message,
    endpoints: relay.forwards
      .endpointsOf(forward, relay.session(owner.device))
      .map((endpoint) => ({ ...endpoint, internalHost: assigned?.to ?? null })),
    ...(spec.site === undefined ? {} : { site: siteInfo(spec.site) }),
    via: `agent:${relay.forwards.deviceName(owner.device)}`,
    leaseEndsMs: relay.forwards.leaseEndsMs(forward),
    counters: shared?.entry == null ? NO_COUNTERS : countersOf(shared.entry.visits.counters),
  };
}

function visits(relay: RelayView): VisitInfo[] {
  const forwards = [...relay.forwards.list()];
  const seen = new Set<unknown>();
  const all = forwards.flatMap((forward) => {
    const entry = relay.forwards.entryOf(forward)?.entry ?? null;
    if (entry === null || seen.has(entry)) return [];
    seen.add(entry);
    const { id, name } = forward.spec;
    return visitInfos(entry.visits, { id, name, device: relay.forwards.deviceName(forward.owner.device) });
  });
  const dialled = visitInfos(relay.dials.visits, { id: "dials", name: "dials", device: null });
  return [...all, ...dialled].sort(byAge);
}

async function listDevices(relay: RelayView): Promise<DeviceInfo[]> {
  const accounts = new Map((await relay.store.accounts.list()).map(({ id, name }) => [id, name]));
  const devices = await relay.store.devices.list({ revoked: true });
  return devices.map((device) => {
    const session = relay.session(device.id);
    return {
      id: device.id,
      name: device.name,
      account: accounts.get(device.accountId) ?? device.accountId,
      connected: session !== undefined,
      address: session?.remoteAddress ?? null,
      version: session?.peer.version ?? null,
      enrolledMs: device.createdMs,
      lastSeenMs: device.lastSeenMs,
      rttMs: session?.measuredRttMs ?? null,
      forwards: relay.forwards.ofDevice(device.id).length,
      revoked: device.revokedMs !== null,
    };
  });
}

export async function revoke(relay: RelayView, nameOrId: string, actor: string): Promise<DeviceInfo> {
  const revoked = await relay.store.devices.revoke(nameOrId, relay.wallMs(), actor);
  if (!revoked.ok) throw new ControlError("usage", revoked.error.message);
  relay.cut(revoked.value.id);
  await relay.forwards.removeDevice(revoked.value.id);
  const info = (await listDevices(relay)).find(({ id }) => id === revoked.value.id);
  if (info === undefined) throw new ControlError("failed", "The device was revoked but is no longer listed.");
  return info;
}

export async function createJoinCode(relay: RelayView, request: JoinCodeRequest, actor: string): Promise<string> {
  const { name, account, ports, lifetimeSec } = request;
  if (ports !== undefined) {
    const parsed = parsePortSet(ports);
    if (!parsed.ok) throw new ControlError("usage", parsed.error.message);
  }
  const made = await relay.store.joinCodes.create(
    {
      deviceName: name,
      lifetimeSec,
      actor,
      ...(account === undefined ? {} : { account }),
      ...(ports === undefined ? {} : { ports }),
    },
    relay.wallMs(),
  );
  if (!made.ok) throw new ControlError("usage", made.error.message);
  const code = encodeJoinCode({
    relay: { host: relay.publicHost(undefined), port: relay.listen().port },
    secret: made.value.secret,
    ...(relay.trust === "pinned"
      ? { trust: "pinned", fingerprint: relay.fingerprint() }
      : // The operator's certificate is renewed, often with a new key: its CA and name are what lasts.
        { trust: "public-ca", fingerprint: null }),
  });
  if (!code.ok) throw new ControlError("failed", code.error.message);
  return code.value;
}
