import type { Protocol } from "../../wire/port-set.ts";
import { setYoungest, trimOldest } from "../bounded-map.ts";
import type { MappingSpec } from "./spec.ts";

/** Which external port a client's internal port had last: a courtesy, so it is bounded and not a promise. */
const MAX_REMEMBERED = 100_000;
/** Ports that are kept for one client besides those that it has. */
const MAX_KEPT = 16;

/** Of a mapping: what it is remembered by. */
export type Remembered = Pick<MappingSpec, "ports" | "to" | "askedInternalPort">;

/** Who a free port is kept for. */
export interface KeptFor {
  /** Its address. */
  readonly client: string;
  readonly internalPort: number;
}

/** What a gateway remembers of mappings that ended: which port a client had, and which ports are kept for whom. */
export class PortMemory {
  readonly #last = new Map<string, number>();
  readonly #kept = new Map<string, KeptFor>();
  /** The keys of `#kept` by client, the oldest first. */
  readonly #ofClient = new Map<string, Set<string>>();

  /** The external port that this internal port has, or had last; null = none is known. */
  last(protocol: Protocol, client: string, internalPort: number): number | null {
    return this.#last.get(internalKey(protocol, client, internalPort)) ?? null;
  }

  remember({ ports, to, askedInternalPort }: Remembered): void {
    for (const { protocol, first } of ports) {
      setYoungest(this.#last, internalKey(protocol, to, askedInternalPort), first);
    }
    trimOldest(this.#last, MAX_REMEMBERED);
  }

  /** They are nobody else's from now on, but for the oldest of a client that has many. */
  keep(spec: Remembered): void {
    const { ports, to: client, askedInternalPort: internalPort } = spec;
    for (const { protocol, first } of ports) {
      const key = portKey(protocol, first);
      this.#drop(key);
      this.#kept.set(key, { client, internalPort });
      const own = this.#ofClient.get(client) ?? new Set();
      this.#ofClient.set(client, own.add(key));
    }
    const own = this.#ofClient.get(client) ?? new Set();
    for (const key of [...own].slice(0, Math.max(0, own.size - MAX_KEPT))) this.#drop(key);
    this.remember(spec);
  }

  /** They are anybody's. */
  forget({ ports, to, askedInternalPort }: Remembered): void {
    for (const { protocol, first } of ports) {
      this.#drop(portKey(protocol, first));
      this.#last.delete(internalKey(protocol, to, askedInternalPort));
    }
  }

  isKept({ ports, to }: Pick<Remembered, "ports" | "to">): boolean {
    return ports.some(({ protocol, first }) => this.keptFor(protocol, first)?.client === to);
  }

  /** Null = nobody. */
  keptFor(protocol: Protocol, externalPort: number): KeptFor | null {
    return this.#kept.get(portKey(protocol, externalPort)) ?? null;
  }

  #drop(key: string): void {
    const client = this.#kept.get(key)?.client;
    if (client === undefined) return;
    this.#kept.delete(key);
    const own = this.#ofClient.get(client);
    own?.delete(key);
    if (own?.size === 0) this.#ofClient.delete(client);
  }
}

function internalKey(protocol: Protocol, client: string, internalPort: number): string {
  return `${protocol} ${client} ${internalPort}`;
}

function portKey(protocol: Protocol, port: number): string {
  return `${protocol} ${port}`;
}
