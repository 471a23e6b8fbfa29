import type { Cidr } from "../../wire/address.ts";

/** An interface whose clients the gateway serves. */
export interface InsideInterface {
  /** As `ip link` shows it. */
  readonly name: string;
  /** The gateway's own on it, canonical; both families, and PCP's anycast address (RFC 7723) where it is served. */
  readonly addresses: readonly string[];
  /** Who is on its link: only they get an answer. */
  readonly networks: readonly Cidr[];
}
