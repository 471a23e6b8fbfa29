import { expect, test } from "bun:test";
import { mappings, remoteSpec } from "../../core/table.fixture.ts";
import { leadsBack } from "./leads-back.ts";

const OWN = new Set(["192.168.1.5", "fd00::5"]);
const cases: [string, string, string, string, number | null][] = [
  ["relay and service here, one port", "8080", "127.0.0.1", "127.0.0.1", 8080],
  ["by the machine's own address", "8080", "192.168.1.5", "192.168.1.5", 8080],
  ["by name", "8080", "localhost", "127.0.0.1", 8080],
  ["IPv6", "8080", "fd00::5", "fd00::5", 8080],
  ["one run of several", "9000:80, 8080-8090", "127.0.0.1", "127.0.0.1", 8080],
  ["another port inside", "8080:80", "127.0.0.1", "127.0.0.1", null],
  ["the relay is elsewhere", "8080", "127.0.0.1", "203.0.113.9", null],
  ["the service is elsewhere", "8080", "192.168.1.77", "127.0.0.1", null],
];
test.each(cases)("%s", (_name, ports, to, relay, expected) => {
  expect(leadsBack({ spec: remoteSpec("web", mappings(...ports.split(", "))), to }, relay, OWN)).toBe(expected);
});

test("a disabled forward leads nowhere", () => {
  const spec = remoteSpec("web", mappings("8080"), { enabled: false });
  expect(leadsBack({ spec, to: "127.0.0.1" }, "127.0.0.1", OWN)).toBeNull();
});
