import { X509Certificate } from "node:crypto";
import type { Socket } from "bun";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import { ALPN } from "../../wire/tunnel/control.ts";
import { checkRelayCertificate, HANDSHAKE_MS, handshakeDone, type RelayTrust, relayTlsOptions } from "./tls.ts";

/** What a relay shows before anybody says who they are. `message`: a phrase without a full stop. */
export type RelaySight =
  | { readonly kind: "trusted"; readonly notAfterMs: number }
  | { readonly kind: "untrusted"; readonly message: string }
  /** No TLS, or no relay's. */
  | { readonly kind: "broken"; readonly message: string };

export interface LookOptions {
  readonly relay: HostPort;
  readonly trust: RelayTrust;
  readonly wallMs: number;
  readonly signal: AbortSignal;
}

/** Begins TLS with a relay as an agent does, looks at its certificate, and closes: no credential is shown. */
export function lookAtRelay({ relay, trust, wallMs, signal }: LookOptions): Promise<RelaySight> {
  const where = formatHostPort(relay.host, relay.port);
  const { promise, resolve } = Promise.withResolvers<RelaySight>();
  let raw: Socket<undefined> | null = null;
  const finish = (sight: RelaySight) => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    // First: `terminate` calls `close` before it returns.
    resolve(sight);
    raw?.terminate();
  };
  const broken = (message: string) => finish({ kind: "broken", message });
  const onAbort = () => broken("stopped");
  const timer = setTimeout(broken, HANDSHAKE_MS, `${where} did not finish the TLS handshake`);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  Bun.connect({
    hostname: relay.host,
    port: relay.port,
    tls: relayTlsOptions(relay, trust, null),
    socket: {
      open(socket) {
        raw = socket as Socket<undefined>;
        if (signal.aborted) socket.terminate();
      },
      handshake(socket, success, error) {
        const der = socket.getPeerX509Certificate?.()?.raw;
        if (der === undefined) return broken(`TLS with ${where} failed: ${error?.message ?? "no reason given"}`);
        const trusted = checkRelayCertificate(socket as Socket<never>, error, trust, relay, wallMs);
        if (!trusted.ok) return finish({ kind: "untrusted", message: trusted.error });
        if (!handshakeDone(success, error, trust)) {
          return broken(`TLS with ${where} failed: ${error?.message ?? "no reason given"}`);
        }
        if (socket.alpnProtocol !== ALPN) return broken(`${where} is not a Hatchway relay of this version`);
        finish({ kind: "trusted", notAfterMs: Date.parse(new X509Certificate(der).validTo) });
      },
      data: () => undefined,
      close: () => broken(`${where} closed the connection before it showed a certificate`),
      error: (_socket, error) => broken(`TLS with ${where} failed: ${error.message}`),
      connectError: (_socket, error) => broken(`${where} does not answer: ${error.message}`),
    },
  }).catch((error: Error) => broken(`${where} does not answer: ${error.message}`));
  return promise;
}
