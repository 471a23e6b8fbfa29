import { describe, expect, test } from "bun:test";
import { decodeBsdRoutes, decodeIfconfigTemporaries } from "./bsd.ts";

const route = (family: 4 | 6, gateway: string | null, name: string, metric: number) => ({
  family,
  gateway,
  interface: { kind: "name" as const, name },
  metric,
});

/** In the form of macOS 14: two links of the house, and its own tunnels. */
const MACOS = `Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.1.1        UGScg                 en0
default            192.168.1.1        UGScIg                en1
default            link#22            UCSIg           bridge100      !
127                127.0.0.1          UCS                   lo0
127.0.0.1          127.0.0.1          UH                    lo0
192.168.1          link#11            UCS                   en0      !
192.168.1.1/32     link#11            UCS                   en0      !
224.0.0/4          link#11            UmCS                  en0      !
`;
const MACOS6 = `Routing tables

Internet6:
Destination                             Gateway                                 Flags               Netif Expire
default                                 fe80::3a10:d5ff:fe12:3456%en0           UGcg                  en0
default                                 fe80::%utun0                            UGcIg               utun0
default                                 fe80::%utun1                            UGcIg               utun1
::1                                     ::1                                     UHL                   lo0
2001:db8:1::/64                         link#11                                 UC                    en0
fe80::%lo0/64                           fe80::1%lo0                             UcI                   lo0
`;
/** In the form of macOS 10.14: with the counts between. */
const OLD_MACOS = `Destination        Gateway            Flags        Refs      Use   Netif Expire
default            10.0.1.1           UGSc           59        0     en0
`;
const FREEBSD = `Destination        Gateway            Flags     Netif Expire
default            203.0.113.1        UGS         vtnet0
203.0.113.0/24     link#1             U           vtnet0
`;
const VPN = `Destination        Gateway            Flags               Netif Expire
0/1                10.8.0.1           UGSc                utun5
128.0/1            10.8.0.1           UGSc                utun5
default            192.168.1.1        UGScg                 en0
`;

describe("netstat -rn", () => {
  test.each<[name: string, text: string, family: 4 | 6, expected: ReturnType<typeof decodeBsdRoutes>]>([
    [
      "macOS: the first is used, those for one interface after it",
      MACOS,
      4,
      [route(4, "192.168.1.1", "en0", 0), route(4, "192.168.1.1", "en1", 1001)],
    ],
    ["macOS, IPv6: its own tunnels are no VPN", MACOS6, 6, [route(6, "fe80::3a10:d5ff:fe12:3456", "en0", 0)]],
    ["macOS as it was", OLD_MACOS, 4, [route(4, "10.0.1.1", "en0", 0)]],
    ["FreeBSD", FREEBSD, 4, [route(4, "203.0.113.1", "vtnet0", 0)]],
    ["a VPN's halves", VPN, 4, [route(4, "10.8.0.1", "utun5", -1), route(4, "192.168.1.1", "en0", 1)]],
    [
      "a VPN that has the default route",
      "Destination Gateway Flags Netif\ndefault link#18 UCSg utun4\n",
      4,
      [route(4, null, "utun4", 0)],
    ],
    ["one that leads nowhere on purpose", "Destination Gateway Flags Netif\ndefault 127.0.0.1 UGRS lo0\n", 4, []],
    ["nothing before the heading", "default 192.168.1.1 UGScg en0\n", 4, []],
    ["a heading without interfaces", "Destination Gateway Flags\ndefault 192.168.1.1 UGScg\n", 4, []],
    ["nothing", "", 4, []],
  ])("%s", (_, text, family, expected) => {
    expect(decodeBsdRoutes(text, family)).toEqual(expected);
  });
});

test("ifconfig tells temporary addresses", () => {
  const text = `en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tinet6 fe80::14f2:aaaa:bbbb:cccc%en0 prefixlen 64 secured scopeid 0xb
\tinet 192.168.1.20 netmask 0xffffff00 broadcast 192.168.1.255
\tinet6 2001:db8:1:0:48a:1:2:3 prefixlen 64 autoconf secured
\tinet6 2001:db8:1::7:8 prefixlen 64 autoconf temporary
\tinet6 2001:db8:1::9%x:8 prefixlen 64 temporary
`;
  expect(decodeIfconfigTemporaries(text)).toEqual(["2001:db8:1::7:8", "2001:db8:1::9"]);
});
