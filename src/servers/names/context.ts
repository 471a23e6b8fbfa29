import type { SecureContext } from "node:tls";
import type { Pending } from "../../core/pending.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { sourceKey } from "../../wire/address.ts";
import type { Clients } from "../proxy/clients.ts";
import type { LoginGuard } from "./logins.ts";
import type { Proofs } from "./proofs.ts";
import type { Sites } from "./sites.ts";

/** What all visitors of a relay's names share. */
export interface NamesContext {
  readonly sites: Sites;
  /** Those who have not asked yet, or are being sent away. */
  readonly clients: Clients;
  readonly logins: LoginGuard;
  readonly pending: Pending;
  readonly sweeper: Sweeper;
  readonly proofs: Proofs;
  /** See NamesServer. */
  readonly homes: ReadonlyMap<string, () => string>;
  /** What ends TLS for a name; null = there is no certificate, perhaps not yet. */
  certificate(name: string): SecureContext | null;
  /** A fault of this program. */
  unexpected(error: unknown): void;
}

/** A place among those who have not asked yet. Null = they are too many. */
export function takePlace({ pending }: NamesContext, address: string): (() => void) | null {
  const source = sourceKey(address);
  if (pending.enter(source, Math.random()) !== null) return null;
  let taken = true;
  return () => {
    if (!taken) return;
    taken = false;
    pending.leave(source);
  };
}
