import { err, ok, type Result } from "../result.ts";
import { decodeHead, type SsdpError } from "./ssdp-head.ts";

/** What a device announces to the group without being asked (UPnP Device Architecture 1.1 §1.2). */
export interface Notification {
  /** update: the device stays what it was, and will say `nextBootId` from now on (§1.2.4). */
  readonly kind: "alive" | "byebye" | "update";
  /** Of the device, from the USN, in lower case, without `uuid:`. */
  readonly uuid: string;
  /** The NT as written: `urn:schemas-upnp-org:device:InternetGatewayDevice:1`. */
  readonly target: string;
  /** Of the description, as written; null in a farewell. */
  readonly location: string | null;
  /** Another after each start; null: devices of version 1.0 of the architecture say none. */
  readonly bootId: number | null;
  readonly nextBootId: number | null;
}

const KINDS: ReadonlyMap<string, Notification["kind"]> = new Map([
  ["ssdp:alive", "alive"],
  ["ssdp:byebye", "byebye"],
  ["ssdp:update", "update"],
]);

export function decodeNotification(datagram: Uint8Array): Result<Notification, SsdpError> {
  const head = decodeHead(datagram);
  if (!head.ok) return head;
  const { startLine, headers } = head.value;
  if (!/^NOTIFY \* HTTP\/1\.[01]$/.test(startLine)) return err({ kind: "start-line" });
  const kind = KINDS.get(headers.get("nts")?.toLowerCase() ?? "");
  if (kind === undefined) return err({ kind: "header", header: "nts" });
  const target = headers.get("nt") ?? "";
  if (target === "") return err({ kind: "header", header: "nt" });
  const uuid = uuidOf(headers.get("usn") ?? "");
  if (uuid === "") return err({ kind: "header", header: "usn" });
  return ok({
    kind,
    uuid,
    target,
    location: headers.get("location") ?? null,
    bootId: bootIdOf(headers.get("bootid.upnp.org")),
    nextBootId: bootIdOf(headers.get("nextbootid.upnp.org")),
  });
}

/** `uuid:X::upnp:rootdevice` → `X`, in lower case. */
export function uuidOf(usn: string): string {
  return (usn.split("::")[0] ?? "").toLowerCase().replace(/^uuid:/, "");
}

/** Has 31 bits; what is none is as if it were not said. */
export function bootIdOf(text: string | undefined): number | null {
  return /^[0-9]{1,10}$/.test(text ?? "") ? Number(text) : null;
}
