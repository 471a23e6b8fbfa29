const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const FAMILY_INET_DGRAM = 0x12;
const FAMILY_INET6_DGRAM = 0x22;

export interface ProxyV2 {
  readonly transport: "udp4" | "udp6";
  readonly source: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: string;
}

/** The header of HAProxy's proxy-protocol.txt section 2.2 before a datagram, and what follows it; an error as text. */
export function readProxyV2(datagram: Buffer): ProxyV2 | { readonly error: string } {
  if (!datagram.subarray(0, 12).equals(SIGNATURE)) return { error: `no signature: ${datagram.toString("hex", 0, 16)}` };
  if (datagram[12] !== 0x21) return { error: `version and command ${datagram[12]}` };
  const length = datagram.readUInt16BE(14);
  const addresses = datagram.subarray(16, 16 + length);
  const payload = datagram.subarray(16 + length).toString();
  switch (datagram[13]) {
    case FAMILY_INET_DGRAM: {
      const source = [...addresses.subarray(0, 4)].join(".");
      return {
        transport: "udp4",
        source,
        sourcePort: addresses.readUInt16BE(8),
        destinationPort: addresses.readUInt16BE(10),
        payload,
      };
    }
    case FAMILY_INET6_DGRAM: {
      const source = addresses.toString("hex", 0, 16);
      return {
        transport: "udp6",
        source,
        sourcePort: addresses.readUInt16BE(32),
        destinationPort: addresses.readUInt16BE(34),
        payload,
      };
    }
    default:
      return { error: `family ${datagram[13]}` };
  }
}
