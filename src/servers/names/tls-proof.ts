import { type SecureContext, TLSSocket } from "node:tls";
import { EndDuplex } from "../../dataplanes/io/end-duplex.ts";
import { ACME_TLS_PROTOCOL } from "../../wire/acme/messages.ts";
import type { Impatient } from "../proxy/clients.ts";
import type { NamesContext } from "./context.ts";
import type { Arrival } from "./http-arrival.ts";

/** A handshake that proves a name (RFC 8737 section 3), and then its end: no other byte passes. `hello`: what came. */
export function proveByTls(
  { clients }: Pick<NamesContext, "clients">,
  { client, leavePlace }: Omit<Arrival, "named">,
  secureContext: SecureContext,
  hello: Uint8Array,
): void {
  const raw = new EndDuplex(client);
  const secured = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: [ACME_TLS_PROTOCOL] });
  const over = () => {
    clients.remove(proving);
    leavePlace();
    raw.destroy();
  };
  const proving: Impatient = { expired: over, closed: over };
  clients.add(proving);
  secured.on("error", over);
  secured.on("close", over);
  // Of a client that goes away in the middle nothing else is heard (Bun 1.4.5).
  raw.on("end", over);
  secured.on("secure", () => secured.end());
  // What it says beside the handshake is read and forgotten.
  secured.resume();
  raw.onData(hello);
}
