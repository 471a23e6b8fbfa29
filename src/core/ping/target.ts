import { ANY_HOST, formatHostPort, type HostPort, parseHostPort, parsePort } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { quoted, type TextError } from "../../wire/text-error.ts";

/** What a person wants to ping, as it is written; `protocol` null = not said. */
export type PingTarget =
  | { readonly kind: "host"; readonly host: string; readonly port: number; readonly protocol: Protocol | null }
  /** The public port of a forward. */
  | { readonly kind: "port"; readonly port: number; readonly protocol: Protocol | null }
  /** The name or id of a forward. */
  | { readonly kind: "name"; readonly name: string; readonly protocol: Protocol | null };

/** How the forwarded path leaves this machine. */
export type PingVia =
  | { readonly kind: "relay" }
  | { readonly kind: "agent"; readonly device: string }
  | { readonly kind: "socks5"; readonly proxy: HostPort };

const SUFFIX = /\/(tcp|udp)$/;
const SOCKS5_SCHEME = "socks5://";
const MAX_NAME_CHARS = 255;

/** `HOST:PORT`, `PORT` or a name, each with `/tcp` or `/udp` if it is to be said. */
export function parsePingTarget(text: string): Result<PingTarget, TextError> {
  const protocol = (SUFFIX.exec(text)?.[1] as Protocol | undefined) ?? null;
  const bare = protocol === null ? text : text.slice(0, -(protocol.length + 1));
  if (/^\d+$/.test(bare)) {
    const port = parsePort(bare);
    return port.ok ? ok({ kind: "port", port: port.value, protocol }) : port;
  }
  if (bare.includes(":") && !bare.includes("/")) {
    const parsed = parseHostPort(bare);
    if (!parsed.ok) return parsed;
    if (parsed.value.host !== ANY_HOST) return ok({ kind: "host", ...parsed.value, protocol });
    return err({ message: "Name one host: * is every address.", offset: 0, length: 1 });
  }
  if (bare === "" || bare.length > MAX_NAME_CHARS) {
    const message = "Write HOST:PORT, or the name or the public port of a forward.";
    return err({ message, offset: 0, length: text.length });
  }
  return ok({ kind: "name", name: bare, protocol });
}

/** `relay`, `agent:NAME` or `socks5://HOST:PORT`. */
export function parsePingVia(text: string): Result<PingVia, TextError> {
  if (text === "relay") return ok({ kind: "relay" });
  const device = /^agent:(\S.{0,254})$/.exec(text)?.[1];
  if (device !== undefined) return ok({ kind: "agent", device });
  if (!text.startsWith(SOCKS5_SCHEME)) {
    const message = `Write relay, agent:NAME or socks5://HOST:PORT, not ${quoted(text)}.`;
    return err({ message, offset: 0, length: text.length });
  }
  const at = SOCKS5_SCHEME.length;
  const rest = text.slice(at).replace(/\/$/, "");
  if (rest.includes("@")) {
    const message = "A proxy that asks for a name and a password is not supported here; leave them out.";
    return err({ message, offset: at, length: rest.indexOf("@") + 1 });
  }
  const proxy = parseHostPort(rest, { defaultPort: SOCKS_PORT });
  if (!proxy.ok) return err({ ...proxy.error, offset: proxy.error.offset + at });
  return ok({ kind: "socks5", proxy: proxy.value });
}

/** RFC 1928 §3. */
const SOCKS_PORT = 1080;

/** As a person writes it. */
export function formatPingVia(via: PingVia): string {
  switch (via.kind) {
    case "relay":
      return "relay";
    case "agent":
      return `agent:${via.device}`;
    case "socks5":
      return `${SOCKS5_SCHEME}${formatHostPort(via.proxy.host, via.proxy.port)}`;
    default:
      return via satisfies never;
  }
}
