import { expect, test } from "bun:test";
import { decodeLink } from "./link.ts";

/** As iproute2 6.1 prints it, without what is not read. */
const WG0 = `[{"ifindex":4,"ifname":"wg0","flags":["POINTOPOINT","NOARP","UP","LOWER_UP"],"mtu":1420,"linkinfo":{"info_kind":"tun"},
"addr_info":[{"family":"inet","local":"10.77.0.1","prefixlen":24,"scope":"global","label":"wg0"},
{"family":"inet6","local":"fd00:99::1","prefixlen":64,"scope":"global"},{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]}]`;

test("an interface is read from what ip says", () => {
  const addresses = [
    { address: "10.77.0.1", prefix: 24 },
    { address: "fd00:99::1", prefix: 64 },
  ];
  expect(decodeLink(WG0)).toEqual({ ok: true, value: { up: true, mtu: 1420, kind: "tun", addresses } });
  const eth0 = `[{"flags":["BROADCAST"],"mtu":1500,"addr_info":[]}]`;
  expect(decodeLink(eth0)).toEqual({ ok: true, value: { up: false, mtu: 1500, kind: null, addresses: [] } });
});

test.each(["", "[]", "{}", "null", "[{}]", WG0.slice(0, -2), WG0.replace("1420", '"1420"')])(
  "%j is an error and never throws",
  (text) => {
    expect(decodeLink(text).ok).toBe(false);
  },
);
