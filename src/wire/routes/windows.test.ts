import { describe, expect, test } from "bun:test";
import { decodeWindowsRoutes4, decodeWindowsRoutes6 } from "./windows.ts";

const LINE = "===========================================================================";
const ENGLISH = `${LINE}
Interface List
 12...00 15 5d 01 02 03 ......Hyper-V Virtual Ethernet Adapter
  1...........................Software Loopback Interface 1
${LINE}

IPv4 Route Table
${LINE}
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
          0.0.0.0          0.0.0.0      192.168.1.1     192.168.1.23     25
          0.0.0.0          0.0.0.0         On-link          10.8.0.2      5
        127.0.0.0        255.0.0.0         On-link         127.0.0.1    331
      192.168.1.0    255.255.255.0         On-link      192.168.1.23    281
${LINE}
Persistent Routes:
  Network Address          Netmask  Gateway Address  Metric
          0.0.0.0          0.0.0.0      192.168.1.1       1
          0.0.0.0          0.0.0.0      192.168.1.1  Default${" "}
${LINE}
`.replaceAll("\n", "\r\n");
const GERMAN = `Aktive Routen:
     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik
          0.0.0.0          0.0.0.0   Auf Verbindung         10.8.0.2      5
          0.0.0.0        128.0.0.0         10.8.0.1         10.8.0.2      3
          0.0.0.0          0.0.0.0      192.168.1.1     192.168.1.23     25
`;
const V6 = `IPv6 Route Table
${LINE}
Active Routes:
 If Metric Network Destination      Gateway
 12    281 ::/0                     fe80::1
 17      5 ::/1                     On-link
  1    331 ::1/128                  On-link
 12    281 2001:db8:1::/64          On-link
 12    281 2001:db8:1:0:abcd:ef01:2345:6789/128
                                    On-link
${LINE}
Persistent Routes:
 If Metric Network Destination      Gateway
  0 4294967295 ::/0                     fe80::1
  0    256 ::/0                     fe80::1
${LINE}
`.replaceAll("\n", "\r\n");

const v4 = (gateway: string | null, address: string, metric: number) => ({
  family: 4 as const,
  gateway,
  interface: { kind: "address" as const, address },
  metric,
});
const v6 = (gateway: string | null, index: number, metric: number) => ({
  family: 6 as const,
  gateway,
  interface: { kind: "index" as const, index },
  metric,
});

describe("route print", () => {
  test("IPv4 in English, a VPN before the router, and what is stored for later is left out", () => {
    expect(decodeWindowsRoutes4(ENGLISH)).toEqual([v4("192.168.1.1", "192.168.1.23", 25), v4(null, "10.8.0.2", 5)]);
  });
  test("IPv4 in a language where on-link is two words", () => {
    expect(decodeWindowsRoutes4(GERMAN)).toEqual([
      v4(null, "10.8.0.2", 5),
      v4("10.8.0.1", "10.8.0.2", -1),
      v4("192.168.1.1", "192.168.1.23", 25),
    ]);
  });
  test("IPv6", () => {
    expect(decodeWindowsRoutes6(V6)).toEqual([v6("fe80::1", 12, 281), v6(null, 17, -1)]);
  });
  test("the other family's table, and nothing", () => {
    for (const text of ["", "::/0", "12 281"]) {
      expect(decodeWindowsRoutes4(text)).toEqual([]);
      expect(decodeWindowsRoutes6(text)).toEqual([]);
    }
    expect(decodeWindowsRoutes4(V6)).toEqual([]);
    expect(decodeWindowsRoutes6(ENGLISH)).toEqual([]);
  });
});
