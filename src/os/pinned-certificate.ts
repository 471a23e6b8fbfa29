import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { err, ok, type Result } from "../wire/result.ts";
import { messageOf } from "./errors.ts";

/**
 * unreachable: no TLS came about. other-key: somebody else's certificate. not-self-signed: the key is the right one, but the
 * certificate is another issuer's, and so is no anchor by itself.
 */
export interface PinFailure {
  readonly kind: "unreachable" | "other-key" | "not-self-signed";
  /** What happened, without a full stop. */
  readonly message: string;
}

/**
 * The self-signed certificate (PEM) of a TLS server whose key has this SHA-256 (of its SubjectPublicKeyInfo, RFC 7469 section
 * 2.4). Nothing is sent but the handshake. As the one CA of a `fetch`, it lets in nobody but the holder of that key: Bun's
 * fetch (1.4.5) asks no function of ours about a certificate that it does not trust.
 */
export async function pinnedCertificate(
  server: { readonly host: string; readonly port: number },
  fingerprint: Uint8Array,
  signal: AbortSignal,
): Promise<Result<string, PinFailure>> {
  const shown = await shownCertificate(server, signal);
  if (!shown.ok) return shown;
  const certificate = new X509Certificate(shown.value);
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  const digest = createHash("sha256").update(spki).digest();
  if (digest.length !== fingerprint.length || !timingSafeEqual(digest, fingerprint)) {
    return err({ kind: "other-key", message: `it shows the key ${digest.toString("hex")}` });
  }
  if (certificate.issuer !== certificate.subject || !certificate.verify(certificate.publicKey)) {
    return err({ kind: "not-self-signed", message: "its certificate comes from a CA" });
  }
  return ok(certificate.toString());
}

/** In DER, whoever it is of. */
async function shownCertificate(
  { host, port }: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<Result<Uint8Array, PinFailure>> {
  const { promise, resolve } = Promise.withResolvers<Result<Uint8Array, PinFailure>>();
  const fail = (message: string) => resolve(err({ kind: "unreachable", message }));
  const stop = () => fail(signal.reason instanceof DOMException ? "it did not answer in time" : "it was stopped");
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  const connecting = Bun.connect({
    hostname: host,
    port,
    tls: { rejectUnauthorized: false, serverName: host },
    socket: {
      handshake(socket) {
        const der = socket.getPeerX509Certificate?.()?.raw;
        if (der === undefined) fail("it speaks no TLS");
        else resolve(ok(new Uint8Array(der)));
      },
      data: () => undefined,
      error: (_socket, error) => fail(messageOf(error)),
      connectError: (_socket, error) => fail(messageOf(error)),
      close: () => fail("it closed the connection before TLS was there"),
    },
  });
  try {
    const result = await Promise.race([promise, connecting.then(() => promise)]);
    return result;
  } catch (error) {
    return err({ kind: "unreachable", message: messageOf(error) });
  } finally {
    signal.removeEventListener("abort", stop);
    // What it failed with was told above.
    connecting.then((socket) => socket.terminate()).catch(() => undefined);
  }
}
