import { type Endpoint, formatEndpoint } from "../../wire/endpoint.ts";
import type { NatKind } from "./verdict.ts";

/** A NAT or firewall that behaves as told, for tests: what RFC 4787 §4.1 and 5 describe, with nothing in between. */
export interface NatModel {
  /** none: addresses stay as they are. */
  readonly mapping: NatKind | "none";
  readonly filtering: NatKind | "none";
}

const OUTSIDE = "203.0.113.20";

function keyOf(kind: NatKind | "none", remote: Endpoint): string {
  if (kind === "none" || kind === "endpoint-independent") return "";
  return kind === "address-dependent" ? remote.address : formatEndpoint(remote);
}

/** One inside socket behind it. */
export class ModelledNat {
  readonly #model: NatModel;
  readonly #inside: Endpoint;
  readonly #mapped = new Map<string, Endpoint>();
  readonly #permitted = new Set<string>();

  constructor(model: NatModel, inside: Endpoint) {
    this.#model = model;
    this.#inside = inside;
  }

  /** The inside sends to `remote`: from where it arrives there. */
  out(remote: Endpoint): Endpoint {
    const { mapping, filtering } = this.#model;
    this.#permitted.add(keyOf(filtering, remote));
    if (mapping === "none") return this.#inside;
    const key = keyOf(mapping, remote);
    const mapped = this.#mapped.get(key) ?? { address: OUTSIDE, port: 40_000 + this.#mapped.size };
    this.#mapped.set(key, mapped);
    return mapped;
  }

  /** Whether something from `remote` to `to` gets in. */
  lets(remote: Endpoint, to: Endpoint): boolean {
    const { mapping, filtering } = this.#model;
    const addressed = mapping === "none" ? [this.#inside] : [...this.#mapped.values()];
    if (!addressed.some(({ address, port }) => address === to.address && port === to.port)) return false;
    return filtering === "none" || this.#permitted.has(keyOf(filtering, remote));
  }
}
