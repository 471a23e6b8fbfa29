import { err, ok, type Result } from "../result.ts";
import { decodeHead, encodeHead, type SsdpError } from "./ssdp-head.ts";
import { bootIdOf } from "./ssdp-notify.ts";

export { MAX_SSDP_BYTES, type SsdpError } from "./ssdp-head.ts";

/** What a search asks for, and what a device says it is (UPnP Device Architecture 1.1 §1.3.2). */
export type SearchTarget =
  | { readonly kind: "all" }
  | { readonly kind: "root" }
  | { readonly kind: "uuid"; readonly uuid: string }
  | {
      readonly kind: "device" | "service";
      /** `schemas-upnp-org` for the standard ones. */
      readonly domain: string;
      /** `InternetGatewayDevice` */
      readonly type: string;
      readonly version: number;
    };

/** All but a search for everything: something that is there. */
export type Announced = Exclude<SearchTarget, { readonly kind: "all" }>;

export interface SearchRequest {
  readonly target: SearchTarget;
  /** The HOST header; null = there is none. */
  readonly host: string | null;
  /** How long answers may take, at most MAX_WAIT_SEC; null in a unicast search. A multicast one without it gets no answer. */
  readonly maxWaitSec: number | null;
  readonly userAgent: string | null;
}

export const SSDP_PORT = 1900;
export const SSDP_GROUP_V4 = "239.255.255.250";
/** How long an announcement holds. */
export const MAX_AGE_SEC = 1800;
/** UPnP Device Architecture 1.1 §1.3.3: a device may take a larger MX as this. */
const MAX_WAIT_SEC = 5;
const DISCOVER = "ssdp:discover";
const SEARCH_LINE = "M-SEARCH * HTTP/1.1";
const REPLY_LINE = "HTTP/1.1 200 OK";

export function decodeSearch(datagram: Uint8Array): Result<SearchRequest, SsdpError> {
  const head = decodeHead(datagram);
  if (!head.ok) return head;
  const { startLine, headers } = head.value;
  if (startLine !== SEARCH_LINE) return err({ kind: "start-line" });
  const man = headers.get("man");
  // The quotes are part of the value, but some clients forget them.
  if (man !== `"${DISCOVER}"` && man !== DISCOVER) return err({ kind: "header", header: "man" });
  const target = parseTarget(headers.get("st") ?? "");
  if (target === null) return err({ kind: "header", header: "st" });
  const mx = headers.get("mx") ?? null;
  if (mx !== null && !/^[0-9]{1,5}$/.test(mx)) return err({ kind: "header", header: "mx" });
  return ok({
    target,
    host: headers.get("host") ?? null,
    maxWaitSec: mx === null ? null : Math.min(Number(mx), MAX_WAIT_SEC),
    userAgent: headers.get("user-agent") ?? null,
  });
}

export function encodeSearch({ target, host, maxWaitSec, userAgent }: SearchRequest): Uint8Array {
  return encodeHead(SEARCH_LINE, [
    ["HOST", host],
    ["MAN", `"${DISCOVER}"`],
    ["MX", maxWaitSec],
    ["ST", formatTarget(target)],
    ["USER-AGENT", userAgent],
  ]);
}

/** Null = not a target that UPnP knows. */
function parseTarget(text: string): SearchTarget | null {
  const lower = text.toLowerCase();
  if (lower === "ssdp:all") return { kind: "all" };
  if (lower === "upnp:rootdevice") return { kind: "root" };
  // Not only UUIDs: there are routers that say uuid:upnp-WANDevice-1_0-0090a2777777.
  if (/^uuid:[0-9a-z._-]{1,64}$/.test(lower)) return { kind: "uuid", uuid: text.slice("uuid:".length) };
  const [urn, domain = "", kind, type = "", version = "", ...more] = text.split(":");
  if (urn !== "urn" || (kind !== "device" && kind !== "service") || more.length > 0) return null;
  if (!/^[A-Za-z0-9.-]+$/.test(domain) || !/^[A-Za-z0-9._-]+$/.test(type) || !/^[1-9][0-9]{0,3}$/.test(version)) {
    return null;
  }
  return { kind, domain, type, version: Number(version) };
}

export function formatTarget(target: SearchTarget): string {
  switch (target.kind) {
    case "all":
      return "ssdp:all";
    case "root":
      return "upnp:rootdevice";
    case "uuid":
      return `uuid:${target.uuid}`;
    case "device":
    case "service":
      return `urn:${target.domain}:${target.kind}:${target.type}:${target.version}`;
    default:
      return target satisfies never;
  }
}

/** One thing that a device on this machine is, and where it is described. */
export interface Announcement {
  readonly target: Announced;
  /** Of the device itself: with the target it makes the USN. */
  readonly uuid: string;
  /** The URL of the root device's description. */
  readonly location: string;
  /** `OS/VERSION UPnP/1.1 PRODUCT/VERSION` */
  readonly server: string;
  /** Greater at each start (UPnP Device Architecture 1.1 §1.2.2). */
  readonly bootId: number;
  /** Another when the description is another. */
  readonly configId: number;
}

function usn({ target, uuid }: Pick<Announcement, "target" | "uuid">): string {
  return target.kind === "uuid" ? `uuid:${uuid}` : `uuid:${uuid}::${formatTarget(target)}`;
}

/** The answer to a search. `target`: with the version that was asked for, when it is a lower one. */
export function encodeSearchReply(announcement: Announcement): Uint8Array {
  const { target, location, server, bootId, configId } = announcement;
  return encodeHead(REPLY_LINE, [
    ["CACHE-CONTROL", `max-age=${MAX_AGE_SEC}`],
    ["EXT", ""],
    ["LOCATION", location],
    ["SERVER", server],
    ["ST", formatTarget(target)],
    ["USN", usn(announcement)],
    ["BOOTID.UPNP.ORG", bootId],
    ["CONFIGID.UPNP.ORG", configId],
  ]);
}

/** `host`: the multicast group it goes to, with the port. */
export function encodeAlive(host: string, announcement: Announcement): Uint8Array {
  const { target, location, server, bootId, configId } = announcement;
  return encodeHead("NOTIFY * HTTP/1.1", [
    ["HOST", host],
    ["CACHE-CONTROL", `max-age=${MAX_AGE_SEC}`],
    ["LOCATION", location],
    ["NT", formatTarget(target)],
    ["NTS", "ssdp:alive"],
    ["SERVER", server],
    ["USN", usn(announcement)],
    ["BOOTID.UPNP.ORG", bootId],
    ["CONFIGID.UPNP.ORG", configId],
  ]);
}

export function encodeByebye(host: string, announcement: Announcement): Uint8Array {
  return encodeHead("NOTIFY * HTTP/1.1", [
    ["HOST", host],
    ["NT", formatTarget(announcement.target)],
    ["NTS", "ssdp:byebye"],
    ["USN", usn(announcement)],
    ["BOOTID.UPNP.ORG", announcement.bootId],
    ["CONFIGID.UPNP.ORG", announcement.configId],
  ]);
}

/** What a router answered. Whoever uses the URL checks that it leads to the router: anyone may answer a search. */
export interface SearchReply {
  readonly location: string;
  readonly target: Announced;
  readonly usn: string;
  readonly server: string | null;
  /** Another after each start of the device; null = it does not say. */
  readonly bootId: number | null;
}

export function decodeSearchReply(datagram: Uint8Array): Result<SearchReply, SsdpError> {
  const head = decodeHead(datagram);
  if (!head.ok) return head;
  const { startLine, headers } = head.value;
  if (!/^HTTP\/1\.[01] 200( |$)/.test(startLine)) return err({ kind: "start-line" });
  const location = headers.get("location") ?? "";
  if (!/^http:\/\/[\x21-\x7e]+$/i.test(location)) return err({ kind: "header", header: "location" });
  const target = parseTarget(headers.get("st") ?? "");
  if (target === null || target.kind === "all") return err({ kind: "header", header: "st" });
  const usn = headers.get("usn") ?? "";
  if (usn === "") return err({ kind: "header", header: "usn" });
  const bootId = bootIdOf(headers.get("bootid.upnp.org"));
  return ok({ location, target, usn, server: headers.get("server") ?? null, bootId });
}
