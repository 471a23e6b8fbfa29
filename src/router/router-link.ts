import type { HeldGrant } from "../core/router/keeper-model.ts";
import { type LadderMemory, nextStep, type Rungs } from "../core/router/ladder.ts";
import type { Gateway, Mapper, RouterFailure, RouterProtocol } from "../core/router/model.ts";
import { requestsAtOnce } from "../core/router/pace.ts";
import { mappingWish, type PortWish } from "../core/router/wish.ts";
import type { Slots } from "../core/slots.ts";
import { err, ok, type Result } from "../wire/result.ts";
import type { RouterAccess } from "./access.ts";
import { RungLink } from "./rung-link.ts";

export interface RouterLinkOptions {
  readonly gateway: Gateway;
  readonly access: RouterAccess;
  /** Null = any protocol. */
  readonly only: RouterProtocol | null;
  readonly memory: LadderMemory;
  /** So many requests at once; fewer while the router is slow. */
  readonly slots: Slots;
  /** 0..1, evenly. */
  readonly random: () => number;
  readonly nowMs: () => number;
  /** The router lost its mappings. */
  readonly onForgot: () => void;
  /** It answers again. */
  readonly onBack: () => void;
  /** Its IPv4 address outside, as it says now. */
  readonly onAddress: (address: string) => void;
  /** Something failed that cannot. */
  readonly onBroken: (error: unknown) => void;
}

/** Whom a request is for. */
export interface Calling {
  /** Ends what has not been sent yet. */
  readonly waiting: AbortSignal;
  /** Ends everything. */
  readonly all: AbortSignal;
}

/** Found by one probe each. */
const PROBED_TOGETHER: readonly (readonly RouterProtocol[])[] = [
  ["pcp", "nat-pmp"],
  ["igd2", "igd1"],
];

/** One router: which protocols it speaks, which of them opens a wish's port, and how much it is asked at once. */
export class RouterLink {
  readonly gateway: Gateway;
  readonly #options: RouterLinkOptions;
  readonly #rungs: Readonly<Record<RouterProtocol, RungLink>>;
  readonly #ending = new AbortController();
  /** Under way, by what is probed together. */
  readonly #probes = new Map<readonly RouterProtocol[], Promise<void>>();
  #address: string | null = null;
  #asking: Promise<string | null> | null = null;

  constructor(options: RouterLinkOptions) {
    this.#options = options;
    this.gateway = options.gateway;
    const rung = () => new RungLink({ ...options, signal: this.#ending.signal });
    this.#rungs = { pcp: rung(), "nat-pmp": rung(), igd2: rung(), igd1: rung() };
  }

  /** Opens the wish's port, by the first protocol that does; or renews what is `held`. */
  async ask(
    wish: PortWish,
    externalPort: number,
    held: HeldGrant | null,
    calling: Calling,
  ): Promise<Result<HeldGrant, RouterFailure>> {
    if (held !== null) return this.#map(held.via, wish, externalPort, held, calling);
    const { memory, only } = this.#options;
    const router = `${this.gateway.family} ${this.gateway.address}`;
    const met = new Map<RouterProtocol, RouterFailure>();
    let rungs = this.#known();
    for (;;) {
      const preferred = memory.preferred(router, wish);
      const step = nextStep({ wish, only, preferred, rungs, met, router: this.gateway.address });
      if (step.kind === "give-up") return err(step.failure);
      if (step.kind === "probe") {
        await this.#probe(step.protocol, calling.waiting);
        if (calling.waiting.aborted) return err(this.#calledOff());
        // What was found out on this way up holds for it: while one rung is silent, another's answer becomes old.
        rungs = withoutDoubt(rungs, this.#known());
        continue;
      }
      const granted = await this.#map(step.protocol, wish, externalPort, null, calling);
      if (granted.ok) memory.worked(router, wish, step.protocol);
      if (granted.ok || calling.waiting.aborted) return granted;
      met.set(step.protocol, granted.error);
    }
  }

  /** Whether the router still has it; null = it cannot tell. */
  holds(wish: PortWish, held: HeldGrant, calling: Calling): Promise<Result<boolean | null, RouterFailure>> {
    const { grant, internalAddress, via } = held;
    const asked = mappingWish(wish, internalAddress, grant.externalPort);
    return this.#request(via, calling, (mapper, signal) => mapper.holds(asked, grant, signal));
  }

  async unmap(wish: PortWish, held: HeldGrant, calling: Calling): Promise<Result<null, RouterFailure>> {
    const { grant, internalAddress, via } = held;
    const asked = mappingWish(wish, internalAddress, grant.externalPort);
    if (internalAddress !== this.#inside(wish)) {
      // It was made for another address of ours, perhaps at another router of the same address. UPnP deletes by the
      // external port alone: it must not be somebody else's.
      const holds = await this.holds(wish, held, calling);
      if (!holds.ok) return holds;
      if (holds.value === false) return ok(null);
    }
    // It is the last that is asked about this mapping, and nobody asks later.
    return this.#request(via, calling, (mapper, signal) => mapper.unmap(asked, grant, signal), true);
  }

  /** Hears whether the router of these protocols is there, what its address is, and whether it lost its mappings. */
  async watch(protocols: ReadonlySet<RouterProtocol>): Promise<void> {
    const calling: Calling = { waiting: this.#ending.signal, all: this.#ending.signal };
    for (const protocol of protocols) {
      // A mapper that sees in the answer that the router lost its state tells so itself.
      await this.#request(protocol, calling, (mapper, signal) => mapper.uptimeSec(signal));
      if (this.gateway.family === 6) continue;
      const told = await this.#request(protocol, calling, (mapper, signal) => mapper.externalAddress(signal));
      if (!told.ok || told.value === null || told.value === this.#address || calling.all.aborted) continue;
      this.#address = told.value;
      this.#options.onAddress(told.value);
    }
  }

  close(): void {
    this.#ending.abort();
    for (const rung of Object.values(this.#rungs)) rung.close();
  }

  #known(): Rungs {
    const { pcp, igd1, igd2, "nat-pmp": natPmp } = this.#rungs;
    return { pcp: pcp.known, "nat-pmp": natPmp.known, igd2: igd2.known, igd1: igd1.known };
  }

  async #map(
    protocol: RouterProtocol,
    wish: PortWish,
    externalPort: number,
    held: HeldGrant | null,
    calling: Calling,
  ): Promise<Result<HeldGrant, RouterFailure>> {
    const internalAddress = this.#inside(wish);
    const asked = mappingWish(wish, internalAddress, externalPort);
    return this.#request(protocol, calling, async (mapper, signal) => {
      const granted = await mapper.map(asked, held?.grant ?? null, signal);
      if (!granted.ok) return granted;
      this.#rungs[protocol].listen();
      const externalAddress = granted.value.externalAddress ?? (await this.#outside(mapper, internalAddress));
      return ok({ grant: { ...granted.value, externalAddress }, via: protocol, internalAddress });
    });
  }

  #inside({ host }: PortWish): string {
    return host ?? this.gateway.ownAddress;
  }

  /** Where visitors come to, when the grant does not say: asked once for all mappings, and by `watch` from then on. */
  async #outside(mapper: Mapper, internalAddress: string): Promise<string | null> {
    if (this.gateway.family === 6) return internalAddress;
    if (this.#address !== null) return this.#address;
    this.#asking ??= mapper.externalAddress(this.#ending.signal).then((told) => {
      this.#asking = null;
      return told.ok ? told.value : null;
    });
    const address = await this.#asking;
    this.#address ??= address;
    return address;
  }

  async #request<T>(
    protocol: RouterProtocol,
    { waiting, all }: Calling,
    act: (mapper: Mapper, signal: AbortSignal) => Promise<Result<T, RouterFailure>>,
    urgent = false,
  ): Promise<Result<T, RouterFailure>> {
    const signal = AbortSignal.any([all, this.#ending.signal]);
    const rung = this.#rungs[protocol];
    if (rung.known === "unknown") await this.#probe(protocol, waiting);
    const { slots, nowMs } = this.#options;
    const leave = await slots.enter(waiting);
    if (leave === null) return err(this.#calledOff());
    const timed = async (mapper: Mapper) => {
      const startMs = nowMs();
      const result = await act(mapper, signal);
      if (!signal.aborted) slots.resize(requestsAtOnce(slots.count, nowMs() - startMs));
      return result;
    };
    try {
      return (await rung.request(timed, signal, urgent)) ?? err(this.#calledOff());
    } finally {
      leave();
    }
  }

  /** Finds out what the router speaks: all that may be of use at once, since each silence takes seconds. */
  async #probe(protocol: RouterProtocol, waiting: AbortSignal): Promise<void> {
    for (const together of PROBED_TOGETHER) {
      const unknown = together.filter((one) => this.#isOpenTo(one, protocol) && this.#rungs[one].known === "unknown");
      if (unknown.length === 0 || this.#probes.has(together)) continue;
      const run = this.#probeTogether(unknown).catch(this.#options.onBroken);
      this.#probes.set(together, run);
      void run.then(() => this.#probes.delete(together));
    }
    const together = PROBED_TOGETHER.find((one) => one.includes(protocol)) ?? [];
    await eitherOf(this.#probes.get(together) ?? Promise.resolve(), waiting);
  }

  #isOpenTo(protocol: RouterProtocol, needed: RouterProtocol): boolean {
    const { only } = this.#options;
    if (protocol === needed) return true;
    return only === null && !(protocol === "nat-pmp" && this.gateway.family === 6);
  }

  async #probeTogether(protocols: readonly RouterProtocol[]): Promise<void> {
    const probed = await this.#options.access.probe(protocols, this.gateway, this.#ending.signal);
    for (const protocol of protocols) {
      const found = probed.find((one) => one.protocol === protocol);
      this.#rungs[protocol].probed(found?.result ?? err(this.#calledOff()));
    }
  }

  #calledOff(): RouterFailure {
    return { kind: "silent", code: null, message: `Asking the router at ${this.gateway.address} was called off.` };
  }
}

function withoutDoubt(before: Rungs, now: Rungs): Rungs {
  const rung = (protocol: RouterProtocol) => (now[protocol] === "unknown" ? before[protocol] : now[protocol]);
  return { pcp: rung("pcp"), "nat-pmp": rung("nat-pmp"), igd2: rung("igd2"), igd1: rung("igd1") };
}

/** Resolves with the promise, or when the signal aborts. */
async function eitherOf(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const abort = () => resolve();
  signal.addEventListener("abort", abort, { once: true });
  await Promise.race([promise, aborted]);
  signal.removeEventListener("abort", abort);
}
