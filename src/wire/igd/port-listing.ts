import { textElement } from "./xml.ts";

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
