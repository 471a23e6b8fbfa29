import { seesAll } from "../../core/access/rights.ts";
import type { HeldMapping } from "../../core/mapping/book.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import {
  ApiFailure,
  type ForwardsBackend,
  type Page,
  type PageRequest,
  type Principal,
  type Versioned,
} from "../../servers/api/backend.ts";
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
import type { StoredVpnPeer } from "../../store/vpn-peers.ts";
import { portWords } from "../../wire/port-words.ts";
import { checkHere } from "../check/here.ts";
import type { GatewayControl, MappingDraft } from "../control.ts";
import type { GatewayView } from "../gateway/control.ts";
import { keyOf } from "../gateway/entries.ts";
import { fixedSpec, putFixed } from "../gateway/fixed.ts";
import { takenText } from "../gateway/mappings.ts";
import { isPeersOwn } from "../gateway/peers.ts";
import { deviceOf } from "../gateway/vpn.ts";
import { sumCounters } from "../views.ts";
import { actorOf } from "./access/context.ts";
import { partsOfId } from "./forwards.ts";
import type { ConsoleGateway } from "./gateway.ts";
import { draftOf, patchedDraft } from "./gateway-drafts.ts";
import { failureOf, rethrow } from "./gateway-failures.ts";
import { quotaOf } from "./gateway-quota.ts";
import { deviceShown, forwardShown, poolText, versionOf } from "./gateway-shown.ts";
import { accountNames, type KernelSight, seesPeer } from "./gateway-sight.ts";
import { GatewayVisits } from "./gateway-visits.ts";
import { liveEvents } from "./live.ts";
import { pageOf } from "./pages.ts";
import { auditPage, type TrafficAsk, trafficReport } from "./records.ts";

export interface ConsoleMappingsOptions {
  readonly gateway: GatewayView;
  readonly control: Pick<GatewayControl, "status" | "listForwards">;
  readonly sight: KernelSight;
  readonly vpn: ConsoleGateway;
  /** Dangers of what a port set would open, a sentence each. */
  warningsFor(ports: MappingSpec["ports"]): readonly string[];
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

/**
 * A gateway's mappings and pinholes, and its clients, as the API has a relay's forwards and devices: an administrator sees
 * and changes everything, others what leads to their account's VPN peers.
 */
export class ConsoleMappings implements ForwardsBackend {
  readonly #options: ConsoleMappingsOptions;
  readonly #gateway: GatewayView;
  readonly #visits: GatewayVisits;

  constructor(options: ConsoleMappingsOptions) {
    this.#options = options;
    this.#gateway = options.gateway;
    this.#visits = new GatewayVisits(options);
  }

  async overview(who: Principal): Promise<Overview> {
    const { version, startedMs, memoryBytes, counters, ...status } = await this.#options.control.status();
    const { wan, lan, externalAddress, servers, dropped, warnings } = status;
    const [forwards, devices] = [await this.#forwards(who), await this.#devices(who)];
    const isAdmin = seesAll(who);
    return {
      version,
      startedMs,
      roles: ["gateway"],
      publicHost: externalAddress,
      listen: null,
      ports: poolText(this.#gateway.snatPorts()),
      gateway: isAdmin ? { wan, lan, externalAddress, servers, dropped, warnings } : null,
      devices: { connected: devices.filter(({ connected }) => connected).length, enrolled: devices.length },
      forwards: { open: forwards.filter(({ state }) => state === "open").length, all: forwards.length },
      counters: isAdmin ? counters : sumCounters(forwards.map((forward) => forward.counters)),
      memoryBytes: isAdmin ? memoryBytes : null,
      pid: status.pid,
      fingerprint: null,
      draining: false,
      consoleCertificate: null,
      names: null,
    };
  }

  async listForwards(
    who: Principal,
    page: PageRequest,
    { device, text }: { readonly device: string | null; readonly text: string | null },
  ): Promise<Page<Forward>> {
    const wanted = text?.toLowerCase() ?? null;
    const all = (await this.#forwards(who)).filter(
      (one) =>
        (device === null || [one.device.id, one.device.name].includes(device)) &&
        (wanted === null ||
          [one.name, one.ports, one.device.name, one.to ?? ""].some((part) => part.toLowerCase().includes(wanted))),
    );
    return pageOf(all, ({ device: of, name, id }) => [of.name, name, id].join("\0"), page);
  }

  async getForward(who: Principal, id: string): Promise<Versioned<Forward>> {
    return this.#versioned(this.#held(who, id));
  }

  async previewForward(who: Principal, draft: ForwardDraft, replaces: string | null): Promise<ForwardPreview> {
    const before = replaces === null ? null : this.#held(who, replaces);
    const { book, nowMs } = this.#gateway;
    try {
      const spec = await this.#spec(draftOf(draft, this.#client(who, draft.device)), before);
      const meant = { meaning: portWords(spec.ports), warnings: this.#options.warningsFor(spec.ports) };
      try {
        if (before === null) this.#refuseKnown(spec, false);
        await this.#refuseBeyondQuota(who, spec);
      } catch (error) {
        return { ...meant, problems: problemsOf(error) };
      }
      const taken = book.refusal(spec, nowMs());
      return { ...meant, problems: taken === null ? [] : [{ path: "ports", message: takenText(taken) }] };
    } catch (error) {
      return { meaning: [], problems: problemsOf(error), warnings: [] };
    }
  }

  async addForward(who: Principal, draft: ForwardDraft, replace: boolean): Promise<Versioned<Forward>> {
    const spec = await this.#spec(draftOf(draft, this.#client(who, draft.device)), null);
    await this.#refuseBeyondQuota(who, spec);
    this.#refuseKnown(spec, replace);
    return this.#versioned(await putFixed(this.#gateway, spec, actorOf(who)).catch(rethrow));
  }

  async changeForward(
    who: Principal,
    id: string,
    patch: ForwardPatch,
    version: string | null,
  ): Promise<Versioned<Forward>> {
    const held = this.#editable(who, id, version);
    const spec = await this.#spec(patchedDraft(held.spec, patch), held);
    await this.#refuseBeyondQuota(who, spec);
    // Whoever asked for a version gets no other one, after all that was waited for.
    this.#editable(who, id, version);
    return this.#versioned(await putFixed(this.#gateway, spec, actorOf(who)).catch(rethrow));
  }

  async removeForward(who: Principal, id: string, version: string | null): Promise<void> {
    const held = this.#held(who, id);
    refuseConfigured(held);
    refuseChanged(held, version);
    await this.#gateway.mappings.remove([held], "forgotten", actorOf(who)).catch(rethrow);
  }

  async checkForward(who: Principal, id: string): Promise<CheckReport> {
    const target = { kind: "name", name: keyOf(this.#held(who, id)) } as const;
    const request = { target, payload: null, service: null };
    return checkHere(this.#options.control, request, UNSEEN, this.#options.signal).catch(rethrow);
  }

  async listDevices(who: Principal, page: PageRequest): Promise<Page<Device>> {
    return pageOf(await this.#devices(who), ({ name, id }) => `${name}\0${id}`, page);
  }

  async getDevice(who: Principal, id: string): Promise<Device> {
    const devices = await this.#devices(who);
    const found = devices.find((device) => device.id === id) ?? devices.find(({ name }) => name === id);
    if (found === undefined) throw noDevice(id);
    return found;
  }

  /** A peer with its keys; of a host of the LAN, what leads to it. */
  async removeDevice(who: Principal, id: string): Promise<void> {
    const device = await this.getDevice(who, id);
    if (!seesAll(who)) throw new ApiFailure("forbidden", "A gateway's devices are removed by an administrator.");
    const peer = this.#gateway.vpn.peerOf(device.id);
    if (peer !== null) return await this.#options.vpn.removeVpnPeer(who, peer.id);
    const held = this.#gateway.book.ofDevice(device.id);
    for (const one of held) refuseConfigured(one);
    await this.#gateway.mappings.remove(held, "forgotten", actorOf(who)).catch(rethrow);
  }

  async makeJoinCode(_who: Principal, _draft: JoinCodeDraft): Promise<never> {
    throw new ApiFailure("invalid", "A gateway has no agents that join it: add a VPN peer instead.");
  }

  listVisits(who: Principal, page: PageRequest): Promise<Page<Visit>> {
    return this.#visits.list(who, page);
  }

  endVisit(who: Principal, id: string): Promise<void> {
    return this.#visits.end(who, id);
  }

  traffic(who: Principal, query: TrafficAsk): Promise<TrafficReport> {
    return trafficReport(this.#gateway.store, who, query);
  }

  listAudit(who: Principal, page: PageRequest): Promise<Page<AuditEntry>> {
    return auditPage(this.#gateway.store, who, page);
  }

  events(who: Principal, signal: AbortSignal): AsyncIterable<LiveEvent> {
    const { vpn } = this.#options;
    return liveEvents({
      forwards: () => this.#forwards(who),
      devices: () => this.#devices(who),
      peers: () => vpn.peers(who),
      triggers: () => vpn.listTriggers(who),
      nowMs: () => this.#gateway.wallMs(),
      signal: AbortSignal.any([signal, this.#options.signal]),
    });
  }

  /** Whether this is one of the gateway's clients, and no device of a relay: by id, by name or, of a LAN host, by address. */
  knows(who: Principal, device: string): boolean {
    return this.#peer(who, device) !== null || this.#gateway.isInside(device);
  }

  #held(who: Principal, id: string): HeldMapping {
    const parts = partsOfId(id);
    const held = parts === null ? null : this.#gateway.book.get(parts.device, parts.specId);
    if (held === null || !this.#sees(who, held)) throw new ApiFailure("not-found", "There is no such forward.");
    return held;
  }

  #sees(who: Principal, { owner }: HeldMapping): boolean {
    return seesPeer(who, this.#gateway.vpn.peerOf(owner.device));
  }

  /** What may be changed here, as it is now. */
  #editable(who: Principal, id: string, version: string | null): HeldMapping {
    const held = this.#held(who, id);
    const { name, requester } = held.spec;
    if (requester !== null)
      throw new ApiFailure("forbidden", `An app at ${requester} asked for "${name}": change it there, or remove it.`);
    refuseConfigured(held);
    if (isPeersOwn(held)) {
      throw new ApiFailure("forbidden", `"${name}" goes by what its VPN peer may have: change the ports of the peer.`);
    }
    refuseChanged(held, version);
    return held;
  }

  /** A mapping as a person wants it. `before`: what it takes the place of. */
  async #spec(draft: MappingDraft, before: HeldMapping | null): Promise<MappingSpec> {
    const made = await fixedSpec(this.#gateway, draft, "api");
    if (!made.ok) throw failureOf(made.error);
    if (before === null) return made.value;
    const { id, origin } = before.spec;
    return { ...made.value, id, origin };
  }

  /** `replace`: one that people made may become this one. */
  #refuseKnown({ id, name, to }: MappingSpec, replace: boolean): void {
    const { book } = this.#gateway;
    const known = book.get(book.ownerOf(to).device, id);
    if (known === null || (replace && known.spec.requester === null && known.spec.origin !== "config")) return;
    const message = `The device has a forward "${name}" already: choose another name.`;
    throw new ApiFailure("conflict", message, { errors: [{ path: "name", message }] });
  }

  async #refuseBeyondQuota(who: Principal, spec: MappingSpec): Promise<void> {
    (await quotaOf(this.#gateway, who)).permit(spec);
  }

  /** The address, or the name, of the device that a person means. */
  #client(who: Principal, device: string): string {
    const peer = this.#peer(who, device);
    if (peer !== null) return peer.v4;
    if (!seesAll(who)) throw noDevice(device);
    return device;
  }

  /** By id of the device or the peer, or by name. */
  #peer(who: Principal, device: string): StoredVpnPeer | null {
    const { vpn } = this.#gateway;
    const found = vpn.all().find(({ id }) => id === device || deviceOf(id) === device) ?? vpn.byName(device);
    return found !== null && seesPeer(who, found) ? found : null;
  }

  async #forwards(who: Principal): Promise<Forward[]> {
    const [traffic, names] = [await this.#options.sight.traffic.get(), await accountNames(this.#gateway.store)];
    const held = [...this.#gateway.book.list()].filter((one) => this.#sees(who, one));
    return held.map((one) => forwardShown(this.#gateway, one, { traffic, names }));
  }

  async #versioned(held: HeldMapping): Promise<Versioned<Forward>> {
    const [traffic, names] = [await this.#options.sight.traffic.get(), await accountNames(this.#gateway.store)];
    return { value: forwardShown(this.#gateway, held, { traffic, names }), version: versionOf(held) };
  }

  /** The VPN's peers, and the hosts of the LAN that something leads to. */
  async #devices(who: Principal): Promise<Device[]> {
    const [status, names] = [await this.#options.sight.peers.get(), await accountNames(this.#gateway.store)];
    const { vpn, book } = this.#gateway;
    const peers = vpn.all().filter((peer) => seesPeer(who, peer));
    const others = [...book.list()].map(({ owner }) => owner.device).filter((device) => vpn.peerOf(device) === null);
    const hosts = seesAll(who) ? [...new Set(others)] : [];
    return [...peers, ...hosts].map((one) => deviceShown(this.#gateway, one, { status, names }));
  }
}

const UNSEEN = "a gateway does not see itself from outside: look from another network";

function refuseConfigured({ spec }: HeldMapping): void {
  if (spec.origin !== "config") return;
  throw new ApiFailure("forbidden", `The mapping "${spec.name}" is in hatchway.toml: change it there.`);
}

function refuseChanged(held: HeldMapping, version: string | null): void {
  if (version === null || version === versionOf(held)) return;
  throw new ApiFailure("changed", "Somebody changed it meanwhile: look at it again, then repeat your change.");
}

function noDevice(nameOrId: string): ApiFailure {
  return new ApiFailure("not-found", `There is no device "${nameOrId}".`);
}

/** Of what a draft was refused with, by field. */
function problemsOf(error: unknown): ForwardPreview["problems"] {
  if (!(error instanceof ApiFailure) || error.kind === "storage") throw error;
  return error.errors.length > 0 ? error.errors : [{ path: "device", message: error.message }];
}
