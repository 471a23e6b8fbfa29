import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { HeldForward, Owner } from "../held.ts";
import { type EntryPorts, ForwardTable, type PutOutcome, type TableError } from "../table.ts";
import type { OwnerUsage } from "../usage.ts";
import { type DeleteDecision, decideDelete } from "./delete.ts";
import type { DeskRefusal, ExternalDelete, InternalDelete, MapAsk, PinholeAsk } from "./desk.ts";
import { PortMemory } from "./port-memory.ts";
import type { MappingRefusal } from "./refusal.ts";
import {
  decideMapping,
  type ExternalHolder,
  type MappingPolicy,
  type MappingRequest,
  type MappingTable,
} from "./request.ts";
import { isPinhole, type MappingSpec } from "./spec.ts";

export type HeldMapping = HeldForward<MappingSpec>;
export type MappingOutcome = PutOutcome<MappingSpec>;

/** A mapping as the store gives it back after a start. */
export interface KeptMapping {
  readonly spec: MappingSpec;
  /** What is left of its lease; null = it does not run. */
  readonly remainingMs: number | null;
}

export interface MappingBookOptions {
  /** Whose an inside address is: a VPN peer's device, or the address itself. */
  ownerOf(address: string): Owner;
  /** How sentences call an owner's device. */
  holderName(device: string): string;
  /** Its ports are kept for it while nobody asks for them by name: a VPN peer's, which come and go. Default none's. */
  isSticky?(device: string): boolean;
  /** Shared with the relay's table when one process is both. */
  readonly ports?: EntryPorts;
}

/** Mappings have no bind address of their own: they count on every external address. */
const BIND = "*";
const MS_PER_SEC = 1000;
/** As for every forward. */
const MAX_NAME_CHARS = 64;

/**
 * The mappings and pinholes of a gateway: who has which, until when, and what becomes of what clients ask. It decides
 * and remembers; whoever calls opens and closes them in the kernel and keeps them on disk. Time is a monotonic clock.
 */
export class MappingBook {
  readonly #options: MappingBookOptions;
  readonly #mappings: ForwardTable<MappingSpec>;
  /** Each host has its own ports, so they exclude nobody. */
  readonly #pinholes: ForwardTable<MappingSpec>;
  readonly #memory = new PortMemory();
  readonly #asked = new Map<string, number>();

  constructor(options: MappingBookOptions) {
    this.#options = options;
    const { holderName, ports } = options;
    this.#mappings = new ForwardTable(ports === undefined ? { holderName } : { holderName, ports });
    this.#pinholes = new ForwardTable({ holderName, ports: null });
  }

  ownerOf(address: string): Owner {
    return this.#options.ownerOf(address);
  }

  get size(): number {
    return this.#mappings.size + this.#pinholes.size;
  }

  *list(): Generator<HeldMapping> {
    yield* this.#mappings.list();
    yield* this.#pinholes.list();
  }

  /** Mappings (not pinholes) that lead to the address, the operator's too; null = all. In order of arrival. */
  mappingsTo(address: string | null): HeldMapping[] {
    return this.#of(this.#mappings, address);
  }

  pinholesTo(address: string | null): HeldMapping[] {
    return this.#of(this.#pinholes, address);
  }

  at(protocol: Protocol, externalPort: number): HeldMapping | null {
    return this.#mappings.at(protocol, externalPort)[0] ?? null;
  }

  ofDevice(device: string): HeldMapping[] {
    return [...this.#mappings.ofDevice(device), ...this.#pinholes.ofDevice(device)];
  }

  get(device: string, id: string): HeldMapping | null {
    return this.#mappings.get(device, id) ?? this.#pinholes.get(device, id);
  }

  /** For the few calls that people make. O(n). */
  find(isMeant: (held: HeldMapping) => boolean): HeldMapping[] {
    return [...this.list()].filter(isMeant);
  }

  /** Milliseconds until its lease ends; null = permanent. */
  remainingMs(held: HeldMapping, nowMs: number): number | null {
    const endMs = this.#tableOf(held.spec).leaseEndMs(held);
    return endMs === null ? null : Math.max(0, endMs - nowMs);
  }

  /** Makes, renews or changes a mapping. */
  map(ask: MapAsk, policy: MappingPolicy, nowMs: number): Result<MappingOutcome, DeskRefusal> {
    const decision = decideMapping(ask, policy, this.#view(ask.internalAddress));
    if (!decision.ok) return err(this.#withHolder(decision.error, ask, nowMs));
    const { externalPort, internalPort } = decision.value;
    const { protocol, internalAddress } = ask;
    const spec: MappingSpec = {
      id: `${protocol}-${externalPort}`,
      name: nameOf(ask.description, `${protocol} ${externalPort}`),
      group: null,
      ports: [{ protocol, first: externalPort, last: externalPort, internalFirst: internalPort }],
      lifetimeSec: ask.lifetimeSec,
      to: internalAddress,
      requester: ask.requester,
      origin: ask.ask.via === "natPmp" ? "natpmp" : ask.ask.via,
      askedInternalPort: ask.internalPort,
      nonce: ask.ask.via === "pcp" ? ask.ask.nonce : null,
      allow: ask.remotes,
      deny: [],
      limits: {},
      enabled: ask.enabled,
    };
    return this.#asDesk(this.put(spec, nowMs), ask, nowMs);
  }

  /** Opens a client's own IPv6 port; the same rules, and nothing to allocate. */
  pin(ask: PinholeAsk, policy: MappingPolicy, nowMs: number): Result<MappingOutcome, DeskRefusal> {
    const { via, protocol, internalAddress, internalPort, requester } = ask;
    const request: MappingRequest = {
      ask:
        via === "pcp"
          ? { via, claimedAddress: ask.claimedAddress ?? requester, preferFailure: true, nonce: ask.nonce ?? "" }
          : { via, action: "AddPortMapping" },
      requester,
      internalAddress,
      protocol,
      internalPort,
      externalPort: internalPort,
    };
    // Nothing of the gateway itself is in the way of a port of another host.
    const decision = decideMapping(request, { ...policy, reserved: [] }, this.#pinholeView(ask));
    if (!decision.ok) return err(this.#withHolder(decision.error, request, nowMs));
    const spec: MappingSpec = {
      id: pinholeId(ask, protocol, internalPort),
      name: nameOf(ask.description, `${protocol} ${internalPort}`),
      group: null,
      ports: [{ protocol, first: internalPort, last: internalPort, internalFirst: internalPort }],
      lifetimeSec: ask.lifetimeSec,
      to: internalAddress,
      requester,
      origin: via,
      askedInternalPort: internalPort,
      nonce: ask.nonce,
      allow: ask.remotes,
      deny: [],
      limits: {},
      enabled: true,
    };
    return this.#asDesk(this.put(spec, nowMs), request, nowMs);
  }

  /** Puts a mapping as it is: the operator's, or one that a decision made. Held for its lifetime from now. */
  put(spec: MappingSpec, nowMs: number): Result<MappingOutcome, TableError> {
    const table = this.#tableOf(spec);
    const put = table.put(this.#options.ownerOf(spec.to), spec, BIND, nowMs);
    if (!put.ok) return put;
    if (put.value.kind === "unchanged") table.renew(put.value.forward, nowMs);
    if (put.value.kind === "changed") this.#uncount(put.value.before);
    if (put.value.kind !== "unchanged") this.#count(put.value.forward);
    return put;
  }

  /** What `put` would refuse, without doing it; null = nothing. */
  refusal(spec: MappingSpec, nowMs: number): TableError | null {
    return this.#tableOf(spec).refusal(this.#options.ownerOf(spec.to), spec, BIND, nowMs);
  }

  /** What the owner of that address holds, for quotas, without what would be replaced by `spec`. */
  usage(spec: MappingSpec): OwnerUsage {
    const owner = this.#options.ownerOf(spec.to);
    const table = this.#tableOf(spec);
    return table.usage(owner, table.get(owner.device, spec.id));
  }

  /** After a start, in the order they were made. Returns those that contradict earlier ones, or the configuration. */
  restore(kept: Iterable<KeptMapping>, nowMs: number): { spec: MappingSpec; error: TableError }[] {
    const rejected: { spec: MappingSpec; error: TableError }[] = [];
    for (const { spec, remainingMs } of kept) {
      const put = this.put(spec, nowMs);
      if (!put.ok) rejected.push({ spec, error: put.error });
      else if (remainingMs !== null) this.#tableOf(spec).endAt(put.value.forward, nowMs + remainingMs);
    }
    return rejected;
  }

  remove(held: HeldMapping): boolean {
    const removed = this.#tableOf(held.spec).remove(held.owner.device, held.spec.id);
    if (removed !== null) this.#ended(removed);
    return removed !== null;
  }

  /** The ports of a mapping that ended are anybody's, and not kept for who had them. */
  forget({ spec }: HeldMapping): void {
    this.#memory.forget(spec);
  }

  /** Whether it is still held exactly so. */
  holds(held: HeldMapping): boolean {
    return this.#tableOf(held.spec).get(held.owner.device, held.spec.id) === held;
  }

  /** Takes back what `put` did, unless something came over it since. */
  undo(outcome: MappingOutcome, nowMs: number): void {
    if (!this.holds(outcome.forward) || outcome.kind === "unchanged") return;
    if (outcome.kind === "added") this.remove(outcome.forward);
    else this.put(outcome.before.spec, nowMs);
  }

  /** What a NAT-PMP or PCP delete takes away. */
  deletedInternal(
    { requester, internalAddress, request }: InternalDelete,
    { secureMode, strictNonce }: Pick<MappingPolicy, "secureMode" | "strictNonce">,
  ): DeleteDecision<HeldMapping> {
    if (secureMode && requester !== internalAddress) {
      const message = `${requester} asked to delete mappings of ${internalAddress}; a client may delete its own only.`;
      return { remove: [], refusal: { kind: "otherHost", message } };
    }
    const pinhole = isPinhole({ to: internalAddress });
    const held = pinhole ? this.pinholesTo(internalAddress) : this.mappingsTo(internalAddress);
    const candidates = held.flatMap((one) => {
      const [port] = one.spec.ports;
      // IGD's pinholes go by their UniqueIDs; a mapping is the same one whichever protocol made it.
      if (port === undefined || (pinhole && one.spec.origin === "igd")) return [];
      const { requester: by, nonce, askedInternalPort } = one.spec;
      return [{ held: one, protocol: port.protocol, internalPort: askedInternalPort, fixed: by === null, nonce }];
    });
    const { remove, refusal } = decideDelete(request, candidates, strictNonce);
    return { remove: remove.map((one) => one.held), refusal };
  }

  /** What an IGD delete takes away. A refusal = what it names is all another's, or the operator's. */
  deletedExternal(
    { requester, protocol, firstExternalPort, lastExternalPort }: ExternalDelete,
    { secureMode }: Pick<MappingPolicy, "secureMode">,
  ): Result<readonly HeldMapping[], MappingRefusal> {
    const named = this.#named(protocol, firstExternalPort, lastExternalPort);
    const own = named.filter(
      ({ spec }) => spec.requester !== null && (!secureMode || spec.to === requester || spec.requester === requester),
    );
    if (own.length > 0 || named.length === 0) return ok(own);
    const fixed = named.some(({ spec }) => spec.requester === null);
    const message = fixed
      ? `${requester} asked to delete port ${firstExternalPort}/${protocol}, which the operator forwards.`
      : `${requester} asked to delete port ${firstExternalPort}/${protocol}, which belongs to ${named[0]?.spec.to}.`;
    return err({ kind: fixed ? "fixedMapping" : "otherHost", message });
  }

  /** Ends the leases that ran out and returns their mappings: close them, tell the store. */
  expire(nowMs: number): HeldMapping[] {
    const ended = [...this.#mappings.expire(nowMs), ...this.#pinholes.expire(nowMs)];
    for (const held of ended) this.#ended(held);
    return ended;
  }

  /** When to call `expire` next; null while no lease runs. */
  nextDeadlineMs(): number | null {
    const deadlines = [this.#mappings.nextDeadlineMs(), this.#pinholes.nextDeadlineMs()].filter((at) => at !== null);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }

  #named(protocol: Protocol, first: number, last: number): HeldMapping[] {
    if (first === last) {
      const held = this.at(protocol, first);
      return held === null ? [] : [held];
    }
    return this.mappingsTo(null).filter(({ spec }) =>
      spec.ports.some((port) => port.protocol === protocol && port.first >= first && port.last <= last),
    );
  }

  #of(table: ForwardTable<MappingSpec>, address: string | null): HeldMapping[] {
    if (address === null) return [...table.list()];
    // A VPN peer has an IPv4 and an IPv6 address, and one device.
    return table.ofDevice(this.#options.ownerOf(address).device).filter(({ spec }) => spec.to === address);
  }

  #tableOf(spec: Pick<MappingSpec, "to">): ForwardTable<MappingSpec> {
    return isPinhole(spec) ? this.#pinholes : this.#mappings;
  }

  #view(client: string): MappingTable {
    return {
      at: (protocol, externalPort) =>
        this.#holderAt(protocol, externalPort) ?? this.#keptFor(client, protocol, externalPort),
      portOf: (protocol, client, internalPort) => this.#memory.last(protocol, client, internalPort),
      countOf: (requester) => this.#asked.get(requester) ?? 0,
    };
  }

  #holderAt(protocol: Protocol, externalPort: number): ExternalHolder | null {
    const held = this.at(protocol, externalPort);
    if (held !== null) return holderOf(held.spec);
    // A forward of another kind, on a port that both kinds share.
    return this.#mappings.isTaken(protocol, externalPort) ? { client: null, internalPort: 0, nonce: null } : null;
  }

  /** Who else a free port is kept for. */
  #keptFor(client: string, protocol: Protocol, externalPort: number): ExternalHolder | null {
    const kept = this.#memory.keptFor(protocol, externalPort);
    return kept === null || kept.client === client ? null : { ...kept, nonce: null };
  }

  #pinholeView(ask: PinholeAsk): MappingTable {
    const address = ask.internalAddress;
    const { device } = this.#options.ownerOf(address);
    const at = (protocol: Protocol, port: number): ExternalHolder | null => {
      const fixed = this.pinholesTo(address).some(
        ({ spec }) =>
          spec.requester === null &&
          spec.ports.some((one) => one.protocol === protocol && one.first <= port && port <= one.last),
      );
      // Who may come by the operator's pinhole is said there.
      if (fixed) return { client: null, internalPort: port, nonce: null };
      const held = this.#pinholes.get(device, pinholeId(ask, protocol, port));
      return held === null ? null : holderOf(held.spec);
    };
    return {
      at,
      portOf: (protocol, _client, internalPort) => (at(protocol, internalPort) === null ? null : internalPort),
      countOf: (requester) => this.#asked.get(requester) ?? 0,
    };
  }

  #asDesk(
    put: Result<MappingOutcome, TableError>,
    request: MappingRequest,
    nowMs: number,
  ): Result<MappingOutcome, DeskRefusal> {
    if (put.ok) return put;
    return err(this.#withHolder({ kind: "taken", message: put.error.message }, request, nowMs));
  }

  #withHolder(refusal: MappingRefusal, { protocol, externalPort }: MappingRequest, nowMs: number): DeskRefusal {
    const holder = refusal.kind === "taken" ? this.at(protocol, externalPort) : null;
    const leftMs = holder === null ? null : this.remainingMs(holder, nowMs);
    return { ...refusal, heldForSec: leftMs === null ? null : Math.ceil(leftMs / MS_PER_SEC) };
  }

  #count({ spec }: HeldMapping): void {
    const { requester } = spec;
    if (requester === null) return;
    this.#asked.set(requester, (this.#asked.get(requester) ?? 0) + 1);
    if (!isPinhole(spec)) this.#memory.remember(spec);
  }

  /** A mapping that ended, in this run or an earlier one: its ports stay its client's. False = they are anybody's. */
  keep(spec: MappingSpec): boolean {
    const { device } = this.#options.ownerOf(spec.to);
    if (isPinhole(spec) || spec.requester === null || this.#options.isSticky?.(device) !== true) return false;
    this.#memory.keep(spec);
    return true;
  }

  #ended(held: HeldMapping): void {
    this.#uncount(held);
    this.keep(held.spec);
  }

  /** Whether its ports are kept for who had them. */
  isKept(spec: MappingSpec): boolean {
    return this.#memory.isKept(spec);
  }

  #uncount({ spec }: HeldMapping): void {
    const { requester } = spec;
    if (requester === null) return;
    const left = (this.#asked.get(requester) ?? 1) - 1;
    if (left <= 0) this.#asked.delete(requester);
    else this.#asked.set(requester, left);
  }
}

/**
 * What makes a pinhole the same one: for PCP the client's port (RFC 6887 §11.3), for IGD the remote host and its port, too
 * (WANIPv6FirewallControl:1 §2.5.4).
 */
function pinholeId({ via, internalAddress, remotes }: PinholeAsk, protocol: Protocol, port: number): string {
  const id = `${protocol}-${internalAddress}-${port}`;
  if (via === "pcp") return id;
  return ["igd", id, ...remotes.map((remote) => `${remote.network}-${remote.port ?? "*"}`)].join("-");
}

function nameOf(description: string, otherwise: string): string {
  return description === "" ? otherwise : description.slice(0, MAX_NAME_CHARS).toWellFormed();
}

/** The operator's forward has no client, as far as the protocols go: it is nobody's to renew. */
function holderOf(spec: MappingSpec): ExternalHolder {
  return {
    client: spec.requester === null ? null : spec.to,
    internalPort: spec.askedInternalPort,
    nonce: spec.nonce,
  };
}
