import { seesAll } from "../../core/access/rights.ts";
import type { RemoteSpec, SiteSpec } from "../../core/forward.ts";
import type { HeldForward } from "../../core/held.ts";
import {
  ApiFailure,
  type ForwardsBackend,
  type Page,
  type PageRequest,
  type Principal,
  type Versioned,
} from "../../servers/api/backend.ts";
import type { Following } from "../../servers/api/event-stream.ts";
import type {
  AuditEntry,
  CheckReport,
  Device,
  Forward,
  ForwardDraft,
  ForwardPatch,
  ForwardPreview,
  JoinCodeDraft,
  LiveEvent,
  Overview,
  TrafficReport,
  Visit,
} from "../../servers/api/schema.ts";
import type { Device as StoredDevice } from "../../store/devices.ts";
import { portWords } from "../../wire/port-words.ts";
import { checkAtRelay } from "../check/here.ts";
import { checkSite } from "../check/site.ts";
import type { NameMeans } from "../check/site-name.ts";
import { ControlError, type Counters, type RelayControl } from "../control.ts";
import { createJoinCode, type RelayView, revoke } from "../relay/control.ts";
import { forwardState } from "../relay/forward-state.ts";
import type { Refused } from "../relay/refused.ts";
import { countersOf, NO_COUNTERS, sumCounters, visitId, visitInfo } from "../views.ts";
import { actorOf } from "./access/context.ts";
import { type Drafted, patched, portsText, specOfDraft } from "./drafts.ts";
import { forwardOf, heldBy, idOf, noForward, sees, versionOf } from "./forwards.ts";
import { liveEvents } from "./live.ts";
import { newestFirst, pageOf, shownPage } from "./pages.ts";
import { auditPage, type TrafficAsk, trafficReport } from "./records.ts";
import { loginsOf, loginsProblem } from "./site-logins.ts";
import { offerTo, placeOf, siteWarnings, siteWords } from "./sites.ts";
import { storageFailure } from "./storage.ts";
import { inTurns } from "./turns.ts";

export interface ConsoleRelayOptions {
  readonly relay: RelayView;
  readonly control: RelayControl;
  /** Dangers of what a port set would open, a sentence each. */
  warningsFor(ports: RemoteSpec["ports"]): readonly string[];
  /** To look up where the names of sites lead. */
  nameMeans(): NameMeans;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

/** What the API shows and changes of a relay: an administrator everything, others what is their account's. */
export class ConsoleRelay implements ForwardsBackend {
  readonly #options: ConsoleRelayOptions;
  readonly #relay: RelayView;

  constructor(options: ConsoleRelayOptions) {
    this.#options = options;
    this.#relay = options.relay;
  }

  async overview(who: Principal): Promise<Overview> {
    const status = await this.#options.control.status();
    const devices = await this.#devices(who);
    const forwards = this.#heldBy(who);
    const isAdmin = seesAll(who);
    const states = forwards.map((held) => forwardState(held, this.#relay).state);
    return {
      version: status.version,
      startedMs: status.startedMs,
      roles: ["relay"],
      publicHost: status.publicHost,
      listen: status.listen,
      ports: status.ports,
      gateway: null,
      devices: {
        connected: devices.filter(({ id }) => this.#relay.session(id) !== undefined).length,
        enrolled: devices.length,
      },
      forwards: { open: states.filter((state) => state === "open").length, all: states.length },
      counters: isAdmin ? status.counters : sumCounters(forwards.map((held) => this.#countersOf(held))),
      memoryBytes: isAdmin ? status.memoryBytes : null,
      pid: status.pid,
      fingerprint: status.fingerprint,
      draining: status.draining,
      consoleCertificate: isAdmin ? status.consoleCertificate : null,
      names: offerTo((await this.#accountNames()).get(who.accountId) ?? "", this.#relay.forwards.siteNames()),
    };
  }

  async listForwards(
    who: Principal,
    page: PageRequest,
    { device, text }: { readonly device: string | null; readonly text: string | null },
  ): Promise<Page<Forward>> {
    const wanted = text?.toLowerCase() ?? null;
    const deviceName = ({ owner }: HeldForward) => this.#relay.forwards.deviceName(owner.device);
    const all = this.#heldBy(who).filter(
      (held) =>
        (device === null || held.owner.device === device || deviceName(held) === device) &&
        (wanted === null || this.#searched(held).some((part) => part.toLowerCase().includes(wanted))),
    );
    const keyOf = (held: HeldForward) => [deviceName(held), held.spec.name, idOf(held)].join("\0");
    const names = await this.#accountNames();
    return shownPage(pageOf(all, keyOf, page), (held) => this.#told(held, names));
  }

  #searched({ owner, spec }: HeldForward): string[] {
    const { forwards } = this.#relay;
    const to = forwards.assignments.get(owner.device, spec.id)?.to ?? "";
    return [spec.name, portsText(spec), ...(spec.site?.hosts ?? []), forwards.deviceName(owner.device), to];
  }

  async getForward(who: Principal, id: string): Promise<Versioned<Forward>> {
    return this.#versioned(this.#held(who, id));
  }

  async previewForward(who: Principal, draft: ForwardDraft, replaces: string | null): Promise<ForwardPreview> {
    const device = await this.#device(who, draft.device);
    const problems: { path: string; message: string }[] = [];
    const before = replaces === null ? null : this.#held(who, replaces);
    let drafted: Drafted;
    try {
      drafted = specOfDraft(draft);
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error;
      return { meaning: [], problems: error.errors, warnings: [] };
    }
    // Who keeps a password is told by the patch: a preview takes all of them as given.
    const wrong = loginsProblem(draft.logins ?? [], []);
    if (wrong !== null) problems.push({ path: "logins", message: wrong });
    const spec = before === null ? drafted.spec : { ...drafted.spec, id: before.spec.id };
    const present = this.#relay.forwards.get(device.id, spec.id);
    if (before === null && present !== null) problems.push({ path: "name", message: nameTaken(present.spec.name) });
    const refused = await this.#relay.forwards.assignable(ownerOf(device), spec);
    if (refused !== null) problems.push({ path: placeOf(spec), message: refused.message });
    if (spec.site !== undefined) {
      const warnings = siteWarnings(spec.site, (draft.logins ?? []).length > 0);
      return { meaning: siteWords(spec, spec.site, this.#relay.forwards.siteNames()), problems, warnings };
    }
    return { meaning: portWords(spec.ports), problems, warnings: this.#options.warningsFor(spec.ports) };
  }

  async addForward(who: Principal, draft: ForwardDraft, replace: boolean): Promise<Versioned<Forward>> {
    const device = await this.#device(who, draft.device);
    const drafted = specOfDraft(draft, await loginsOf(draft.logins ?? [], []));
    const present = this.#relay.forwards.get(device.id, drafted.spec.id);
    const isOurs = this.#relay.forwards.assignments.get(device.id, drafted.spec.id) !== null;
    if (present !== null && !(replace && isOurs)) throw new ApiFailure("conflict", nameTaken(present.spec.name));
    return this.#versioned(await this.#assign(who, device, drafted));
  }

  async changeForward(
    who: Principal,
    id: string,
    patch: ForwardPatch,
    version: string | null,
  ): Promise<Versioned<Forward>> {
    const seen = this.#editable(who, id, version).held;
    const device = await this.#device(who, seen.owner.device);
    const logins = patch.logins === undefined ? undefined : await loginsOf(patch.logins, seen.spec.site?.logins ?? []);
    // Hashing takes a while: what somebody else did meanwhile is not overwritten.
    const { held, to } = this.#editable(who, id, version);
    return this.#versioned(await this.#assign(who, device, patched({ spec: held.spec, to }, patch, logins)));
  }

  async removeForward(who: Principal, id: string, version: string | null): Promise<void> {
    const { held } = this.#editable(who, id, version);
    await this.#relay.forwards.unassign(held.owner.device, held.spec.id, actorOf(who));
  }

  async checkForward(who: Principal, id: string): Promise<CheckReport> {
    const held = this.#held(who, id);
    const [first] = held.spec.ports;
    if (first === undefined) throw noForward();
    if (held.spec.site !== undefined) return this.#checkSite(held, held.spec.site);
    const target = { kind: "port", host: null, port: first.first, protocol: first.protocol } as const;
    return checkAtRelay(this.#options.control, { target, payload: null, service: null }, this.#options.signal);
  }

  async #checkSite({ owner, spec }: HeldForward, { tls }: SiteSpec): Promise<CheckReport> {
    const { control, nameMeans, signal } = this.#options;
    const device = this.#relay.forwards.deviceName(owner.device);
    const again = async () =>
      (await control.listForwards()).find((one) => one.id === spec.id && one.device === device) ?? null;
    const site = await again();
    if (site === null) throw noForward();
    return checkSite({ site, tls, again, names: nameMeans(), side: "relay", signal });
  }

  async listDevices(who: Principal, page: PageRequest): Promise<Page<Device>> {
    const names = await this.#accountNames();
    const found = pageOf(await this.#devices(who), ({ name, id }) => `${name}\0${id}`, page);
    return shownPage(found, (device) => this.#shown(device, names));
  }

  async getDevice(who: Principal, id: string): Promise<Device> {
    return this.#shown(await this.#device(who, id), await this.#accountNames());
  }

  async removeDevice(who: Principal, id: string): Promise<void> {
    const device = await this.#device(who, id);
    await revoke(this.#relay, device.id, actorOf(who)).catch(rethrow);
  }

  async makeJoinCode(who: Principal, draft: JoinCodeDraft) {
    const { name, ports, lifetimeSec } = draft;
    const account = draft.account === undefined ? who.accountId : await this.#account(who, draft.account);
    const request = { name, account, lifetimeSec, ...(ports === undefined ? {} : { ports }) };
    const code = await createJoinCode(this.#relay, request, actorOf(who)).catch(rethrow);
    return {
      code,
      command: `hatchway agent --managed --join ${code}`,
      expiresMs: this.#relay.wallMs() + lifetimeSec * MS_PER_SEC,
    };
  }

  async listVisits(who: Principal, page: PageRequest): Promise<Page<Visit>> {
    const seen = new Set<unknown>();
    const all = this.#heldBy(who).flatMap((held) => {
      const entry = this.#relay.forwards.entryOf(held)?.entry ?? null;
      if (entry === null || seen.has(entry)) return [];
      seen.add(entry);
      const device = this.#relay.forwards.deviceName(held.owner.device);
      const forward = { id: idOf(held), name: held.spec.name, device };
      return [...entry.visits.list()].map(([number, visit]) => {
        return { id: visitId(forward.id, number), openedMs: visit.sinceMs, number, visit, forward };
      });
    });
    return shownPage(newestFirst(all, page), ({ number, visit, forward }) => visitInfo(number, visit, forward));
  }

  async endVisit(who: Principal, id: string): Promise<void> {
    const slash = id.lastIndexOf("/");
    const number = Number(id.slice(slash + 1));
    const held = this.#held(who, id.slice(0, Math.max(0, slash)));
    const visits = this.#relay.forwards.entryOf(held)?.entry?.visits;
    if (!Number.isSafeInteger(number) || visits?.kill(number) !== true)
      throw new ApiFailure("not-found", "That connection is over.");
  }

  traffic(who: Principal, query: TrafficAsk): Promise<TrafficReport> {
    return trafficReport(this.#relay.store, who, query);
  }

  listAudit(who: Principal, page: PageRequest): Promise<Page<AuditEntry>> {
    return auditPage(this.#relay.store, who, page);
  }

  events(who: Principal, signal: AbortSignal): Following<LiveEvent> {
    return liveEvents({
      forwards: () => this.#forwards(who),
      devices: async () => {
        const names = await this.#accountNames();
        return (await this.#devices(who)).map((device) => this.#shown(device, names));
      },
      nowMs: () => this.#relay.wallMs(),
      signal: AbortSignal.any([signal, this.#options.signal]),
    });
  }

  async #assign(who: Principal, device: StoredDevice, { spec, to }: Drafted): Promise<HeldForward> {
    const assignment = { name: device.name, spec, to, actor: actorOf(who) };
    const assigned = await this.#relay.forwards.assign(ownerOf(device), assignment).catch(rethrow);
    if (!assigned.ok) throw failureOf(assigned.error, placeOf(spec));
    return assigned.value;
  }

  /** What may be changed here, as it is now. */
  #editable(who: Principal, id: string, version: string | null): { readonly held: HeldForward; readonly to: string } {
    const held = this.#held(who, id);
    const assigned = this.#relay.forwards.assignments.get(held.owner.device, held.spec.id);
    if (assigned === null)
      throw new ApiFailure("forbidden", `"${held.spec.name}" was made on its device: change it there.`);
    if (version !== null && version !== versionOf(held, assigned.to))
      throw new ApiFailure("changed", "Somebody changed it meanwhile: look at it again, then repeat your change.");
    return { held, to: assigned.to };
  }

  #held(who: Principal, id: string): HeldForward {
    return heldBy(this.#relay, who, id);
  }

  #heldBy(who: Principal): HeldForward[] {
    return [...this.#relay.forwards.list()].filter(({ owner }) => sees(who, owner.account));
  }

  async #forwards(who: Principal): Promise<Forward[]> {
    const names = await this.#accountNames();
    const told = await inTurns(this.#heldBy(who), (held) => {
      const isThere = this.#relay.forwards.get(held.owner.device, held.spec.id) === held;
      return isThere ? [this.#told(held, names)] : [];
    });
    return told.flat();
  }

  #told(held: HeldForward, accounts: ReadonlyMap<string, string>): Forward {
    return forwardOf(this.#relay, held, accounts.get(held.owner.account) ?? "");
  }

  #countersOf(held: HeldForward): Counters {
    const entry = this.#relay.forwards.entryOf(held)?.entry ?? null;
    return entry === null ? NO_COUNTERS : countersOf(entry.visits.counters);
  }

  async #versioned(held: HeldForward): Promise<Versioned<Forward>> {
    const value = this.#told(held, await this.#accountNames());
    return { value, version: versionOf(held, value.to) };
  }

  async #devices(who: Principal): Promise<StoredDevice[]> {
    const filter = seesAll(who) ? {} : { accountId: who.accountId };
    return this.#relay.store.devices.list(filter).catch(rethrow);
  }

  /** By id, or by name among those that they may see. */
  async #device(who: Principal, nameOrId: string): Promise<StoredDevice> {
    const devices = await this.#devices(who);
    const found = devices.find(({ id }) => id === nameOrId) ?? devices.find(({ name }) => name === nameOrId);
    if (found !== undefined) return found;
    throw new ApiFailure("not-found", `There is no device "${nameOrId}".`);
  }

  /** The id of an account that they may see. */
  async #account(who: Principal, nameOrId: string): Promise<string> {
    const account = await this.#relay.store.accounts.find(nameOrId).catch(rethrow);
    if (account === null || !sees(who, account.id)) {
      throw new ApiFailure("not-found", `There is no account "${nameOrId}".`);
    }
    return account.id;
  }

  async #accountNames(): Promise<ReadonlyMap<string, string>> {
    const accounts = await this.#relay.store.accounts.list().catch(rethrow);
    return new Map(accounts.map(({ id, name }) => [id, name]));
  }

  #shown(device: StoredDevice, accounts: ReadonlyMap<string, string>): Device {
    const session = this.#relay.session(device.id);
    return {
      id: device.id,
      name: device.name,
      account: { id: device.accountId, name: accounts.get(device.accountId) ?? "" },
      connected: session !== undefined,
      managed: this.#relay.forwards.assignments.isManaged(device.id),
      address: session?.remoteAddress ?? null,
      version: session?.peer.version ?? null,
      enrolledMs: device.createdMs,
      lastSeenMs: device.lastSeenMs,
      rttMs: session?.measuredRttMs ?? null,
      forwards: this.#relay.forwards.ofDevice(device.id).length,
    };
  }
}

const MS_PER_SEC = 1_000;

function nameTaken(name: string): string {
  return `The device has a forward "${name}" already: choose another name.`;
}

function ownerOf(device: StoredDevice): { readonly account: string; readonly device: string } {
  return { account: device.accountId, device: device.id };
}

/** `path`: the field that it is about. */
function failureOf({ why, message }: Refused, path: string): ApiFailure {
  switch (why) {
    case "policy":
      return new ApiFailure("forbidden", message, { errors: [{ path, message }] });
    case "conflict":
      return new ApiFailure("conflict", message, { errors: [{ path, message }] });
    case "failed":
      return new ApiFailure("unavailable", message);
    default:
      return why satisfies never;
  }
}

/** What the store and the relay's own commands reject with, as the API tells it. */
function rethrow(error: unknown): never {
  if (error instanceof ControlError && error.kind === "usage") throw new ApiFailure("conflict", error.message);
  throw storageFailure(error);
}
