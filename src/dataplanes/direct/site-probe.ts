import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface SiteProbe {
  /** An IP literal. */
  readonly address: string;
  readonly port: number;
  /** The name of the site; it is asked for by SNI and Host. */
  readonly name: string;
  /** end: HTTP in TLS. pass: TLS alone, for what is in it is not ours. off: HTTP. */
  readonly tls: "off" | "end" | "pass";
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** What came of it; the words of core/check/site-rules.ts. */
export type SiteProbed =
  | { readonly kind: "none" | "no-tls" | "tls" | "silent" }
  | { readonly kind: "status"; readonly status: number };

/** RFC 9112 §4: `HTTP/1.1 200 …`. */
const STATUS = /^HTTP\/1\.[01] (\d{3})[ \r]/;
/** Longer than any status line is begun. */
const STATUS_CHARS = 13;

/** Asks a site for the head of its front page, and reads the status of the answer. Never rejects. */
export function probeSite({ address, port, name, tls, deadlineMs, signal }: SiteProbe): Promise<SiteProbed> {
  const { promise, resolve } = Promise.withResolvers<SiteProbed>();
  let so: SiteProbed["kind"] = "none";
  let heard = "";
  let socket: Socket | null = null;
  const finish = (outcome: SiteProbed) => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    socket?.destroy();
    resolve(outcome);
  };
  const asIs = () => finish(so === "status" ? { kind: "silent" } : { kind: so });
  const onAbort = () => asIs();
  const timer = setTimeout(asIs, deadlineMs);
  if (signal.aborted) {
    asIs();
    return promise;
  }
  signal.addEventListener("abort", onAbort, { once: true });
  const ask = (one: Socket) => {
    so = "silent";
    one.write(`HEAD / HTTP/1.1\r\nHost: ${name}\r\nUser-Agent: hatchway-check\r\nConnection: close\r\n\r\n`);
  };
  if (tls === "off") {
    const plain = connectTcp({ host: address, port });
    plain.once("connect", () => ask(plain));
    socket = plain;
  } else {
    // Whose certificate it is says nothing here: the CA of a private one is unknown to the relay's machine.
    const options = { host: address, port, servername: name, rejectUnauthorized: false };
    const secure = connectTls(tls === "end" ? { ...options, ALPNProtocols: ["http/1.1"] } : options);
    secure.once("connect", () => {
      so = "no-tls";
    });
    secure.once("secureConnect", () => {
      if (tls === "end") ask(secure);
      else finish({ kind: "tls" });
    });
    socket = secure;
  }
  socket.on("data", (bytes: Uint8Array) => {
    heard += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    const status = STATUS.exec(heard)?.[1];
    if (status !== undefined) finish({ kind: "status", status: Number(status) });
    else if (heard.length >= STATUS_CHARS) finish({ kind: "silent" });
  });
  socket.on("error", asIs);
  socket.on("close", asIs);
  return promise;
}
