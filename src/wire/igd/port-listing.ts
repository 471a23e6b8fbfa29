import { parseAddress } from "../address.ts";
import { parsePort } from "../endpoint.ts";
import { ok, type Result } from "../result.ts";
import { printable } from "./printable.ts";
import { readXml, textElement, type XmlElement, type XmlError } from "./xml.ts";

/** A row of what GetListOfPortMappings answers; the names are the schema's (WANIPConnection:2), not those of AddPortMapping. */
export interface PortListingEntry {
  /** Null = any. */
  readonly remoteHost: string | null;
  readonly externalPort: number;
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
  readonly internalClient: string;
  readonly enabled: boolean;
  readonly description: string;
  /** What is left of it. */
  readonly leaseSec: number;
}

/** The value of NewPortListing: a document of its own, which the response carries as text. */
export function renderPortListing(entries: readonly PortListingEntry[]): string {
  const rows = entries.map((entry) => {
    const fields = [
      textElement("p:NewRemoteHost", entry.remoteHost ?? ""),
      textElement("p:NewExternalPort", `${entry.externalPort}`),
      textElement("p:NewProtocol", entry.protocol.toUpperCase()),
      textElement("p:NewInternalPort", `${entry.internalPort}`),
      textElement("p:NewInternalClient", entry.internalClient),
      textElement("p:NewEnabled", entry.enabled ? "1" : "0"),
      textElement("p:NewDescription", entry.description),
      textElement("p:NewLeaseTime", `${entry.leaseSec}`),
    ];
    return `<p:PortMappingEntry>${fields.join("")}</p:PortMappingEntry>`;
  });
  const namespace = "urn:schemas-upnp-org:gw:WANIPConnection";
  return `<?xml version="1.0"?><p:PortMappingList xmlns:p="${namespace}">${rows.join("")}</p:PortMappingList>`;
}

/** A thousand rows have 500 KB, and 700 KB when they are escaped. */
export const MAX_LISTING_BYTES = 1_048_576;
const MAX_ROWS = 1000;
const MAX_LEASE_SEC = 0xffff_ffff;

/**
 * What a router listed. Rows that are none are left out, and rows beyond a thousand. `internalClient` is canonical when
 * it is an address; some routers write a name there.
 */
export function decodePortListing(listing: string): Result<readonly PortListingEntry[], XmlError> {
  const document = readXml(new TextEncoder().encode(listing.trim()), MAX_LISTING_BYTES);
  if (!document.ok) return document;
  const rows = document.value.children.filter(({ name }) => name === "PortMappingEntry");
  return ok(rows.slice(0, MAX_ROWS).flatMap(decodeRow));
}

/** There are routers that give the fields the names that they have in GetGenericPortMappingEntry. */
function decodeRow(row: XmlElement): PortListingEntry[] {
  const texts = new Map(row.children.map(({ name, text }) => [name, text.trim()]));
  const externalPort = parsePort(texts.get("NewExternalPort") ?? "", 0, true);
  const internalPort = parsePort(texts.get("NewInternalPort") ?? "", 0, true);
  const protocol = texts.get("NewProtocol")?.toLowerCase();
  if (!externalPort.ok || !internalPort.ok || (protocol !== "tcp" && protocol !== "udp")) return [];
  const remoteHost = parseAddress(texts.get("NewRemoteHost") ?? "");
  const client = texts.get("NewInternalClient") ?? "";
  const address = parseAddress(client);
  const lease = texts.get("NewLeaseTime") ?? texts.get("NewLeaseDuration") ?? "";
  return [
    {
      remoteHost: remoteHost.ok && remoteHost.value !== "0.0.0.0" ? remoteHost.value : null,
      externalPort: externalPort.value,
      protocol,
      internalPort: internalPort.value,
      internalClient: address.ok ? address.value : printable(client),
      enabled: !["0", "false", "no"].includes(texts.get("NewEnabled")?.toLowerCase() ?? ""),
      description: printable(texts.get("NewDescription") ?? texts.get("NewPortMappingDescription") ?? ""),
      leaseSec: /^[0-9]{1,10}$/.test(lease) ? Math.min(Number(lease), MAX_LEASE_SEC) : 0,
    },
  ];
}
