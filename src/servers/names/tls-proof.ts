import type { SecureContext } from "node:tls";
import type { ByteSink } from "../../dataplanes/io/ends.ts";
import { ACME_TLS_PROTOCOL } from "../../wire/acme/messages.ts";
import type { Impatient } from "../proxy/clients.ts";
import type { NamesContext } from "./context.ts";
import type { PlainArrival } from "./http-arrival.ts";

/** A handshake that proves a name (RFC 8737 section 3), and then its end: no other byte passes. `hello`: what came. */
export function proveByTls(
  { clients }: Pick<NamesContext, "clients">,
  { client, leavePlace }: PlainArrival,
  context: SecureContext,
  hello: Uint8Array,
): void {
  const over = () => {
    clients.remove(proving);
    leavePlace();
  };
  const proving: ByteSink & Impatient = {
    onOpen() {
      over();
      // What it says beside the handshake is read and forgotten.
      clients.bidFarewell(client, null);
    },
    onData: () => undefined,
    onDrain: () => undefined,
    onEnd: () => client.reset("protocolError"),
    onClose: over,
    expired: () => client.reset("idle"),
    closed: () => client.reset("shutdown"),
  };
  client.sink = proving;
  clients.add(proving);
  client.beginTls({ context, protocol: ACME_TLS_PROTOCOL }, hello);
}
