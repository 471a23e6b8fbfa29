import { type Endpoint, formatEndpoint } from "../../wire/endpoint.ts";
import type { NatKind } from "./verdict.ts";

/** A NAT or firewall that behaves as told, for tests: what RFC 4787 §4.1 and 5 describe. */
export interface NatModel {
  /** none: addresses stay as they are. */
  readonly mapping: NatKind | "none";
  readonly filtering: NatKind | "none";
  /** As Linux does it: what was kept out counts as a connection, and whoever sends there from that port gets another. */
  readonly clashes?: boolean;
}

const OUTSIDE = "203.0.113.20";

function keyOf(kind: NatKind | "none", remote: Endpoint): string {
  if (kind === "none" || kind === "endpoint-independent") return "";
  return kind === "address-dependent" ? remote.address : formatEndpoint(remote);
}

export class ModelledNat {
  readonly #model: NatModel;
  /** By inside endpoint and what the mapping depends on. */
  readonly #mapped = new Map<string, Endpoint>();
  readonly #permitted = new Set<string>();
  readonly #keptOut = new Set<string>();
  #nextPort = 40_000;

  constructor(model: NatModel) {
    this.#model = model;
  }

  /** The inside sends to `remote`: from where it arrives there. */
  out(inside: Endpoint, remote: Endpoint): Endpoint {
    const { mapping, filtering, clashes = false } = this.#model;
    const own = formatEndpoint(inside);
    this.#permitted.add(`${own} ${keyOf(filtering, remote)}`);
    if (mapping === "none") return inside;
    const key = `${own} ${keyOf(mapping, remote)}`;
    const mapped = this.#mapped.get(key) ?? { address: OUTSIDE, port: this.#nextPort++ };
    this.#mapped.set(key, mapped);
    const isTaken = clashes && this.#keptOut.has(`${formatEndpoint(remote)} ${mapped.port}`);
    return isTaken ? { address: OUTSIDE, port: this.#nextPort++ } : mapped;
  }

  /** Whether something from `remote` to `to`, which `out` gave `inside`, gets in. */
  lets(remote: Endpoint, to: Endpoint, inside: Endpoint): boolean {
    const { filtering } = this.#model;
    if (filtering === "none" || this.#permitted.has(`${formatEndpoint(inside)} ${keyOf(filtering, remote)}`))
      return true;
    this.#keptOut.add(`${formatEndpoint(remote)} ${to.port}`);
    return false;
  }
}
