import type { LocalSpec } from "../../core/forward.ts";
import type { Exit } from "../../dataplanes/io/ends.ts";
import { type Entry, type EntrySpec, openReception } from "../../dataplanes/io/entry.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import { ok, type Result } from "../../wire/result.ts";
import { Clients } from "./clients.ts";
import { Guesses } from "./guesses.ts";
import { shakeHands } from "./handshake.ts";

export interface ProxySpec extends EntrySpec {
  /** What every client must show; null = nothing. Asked for each client: a reload may have changed it. */
  credentials(): LocalSpec["credentials"];
}

/**
 * Opens the entry of a dynamic forward: SOCKS 5 (CONNECT, UDP ASSOCIATE), SOCKS 4 and 4a, and HTTP CONNECT on one port,
 * told apart by the first byte. Where a client asks to go leaves by `exit` as `visit.destination`.
 */
export function openProxy(spec: ProxySpec, exit: Exit): Result<Entry, EntryError> {
  const clients = new Clients(spec.sweeper);
  const guesses = new Guesses();
  const entry = openReception(spec, exit, (client, visit, host, admission) => {
    shakeHands({ host, clients, guesses, credentials: () => spec.credentials() }, client, visit, admission);
  });
  if (!entry.ok) {
    clients.close();
    return entry;
  }
  const { value } = entry;
  return ok({
    get ports() {
      return value.ports;
    },
    visits: value.visits,
    bound: value.bound,
    change: value.change,
    rebind: value.rebind,
    drain: value.drain,
    setShared: value.setShared,
    retire: value.retire,
    endFlows: value.endFlows,
    close: () => {
      value.close();
      clients.close();
    },
  });
}
