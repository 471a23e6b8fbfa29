import { describe, expect, test } from "bun:test";
import { formatPortSet, parsePortSet } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";
import { exposePorts, type ProtocolChoice, pairPorts, parseListen, parseTarget } from "./ports.ts";

function must<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

describe("an entry and its target, or its ports outside: where one says its protocol, the other need not", () => {
  const cases: [string, string, ProtocolChoice, string][] = [
    ["8080", "db:80", "tcp", "8080:80/tcp"],
    ["8080", "db:80", "tcp+udp", "8080:80/tcp,8080:80/udp"],
    ["53/udp", "db:53", "tcp", "53/udp"],
    ["53/udp", "db:5353/udp", "tcp", "53:5353/udp"],
    ["53/tcp,53/udp", "db:5353", "tcp", "53:5353/tcp,53:5353/udp"],
    ["0/udp", "db:53", "tcp", "0:53/udp"],
    ["*:0", "db:53", "udp", "0:53/udp"],
    ["0", "db:53", "tcp+udp", "0:53/tcp,0:53/udp"],
  ];
  test.each(cases)("%s to %s, %s", (listen, to, protocol, expected) => {
    const ports = must(pairPorts(must(parseListen(listen)), must(parseTarget(to)), protocol));
    expect(ports.map((port) => formatPortSet({ ranges: [port] })).join(",")).toBe(expected);
  });

  const outside: [string, string, string][] = [
    ["9000/udp", "9001", "9001:9000/udp"],
    ["9000/udp", "9001/udp", "9001:9000/udp"],
    ["80,9000/udp", "81/tcp,9001/udp", "81:80/tcp,9001:9000/udp"],
  ];
  test.each(outside)("%s as %s", (ports, as, expected) => {
    const made = must(exposePorts(must(parsePortSet(ports)), must(parsePortSet(as)), "tcp"));
    expect(made.map((port) => formatPortSet({ ranges: [port] })).join(",")).toBe(expected);
  });

  test("as many on both sides, else a sentence", () => {
    const made = pairPorts(must(parseListen("53/udp")), must(parseTarget("db:53-54")), "tcp");
    expect(made.ok ? "" : made.error).toBe(
      "53/udp is 1 port and db:53-54 is 2 ports; give both the same number of ports.",
    );
  });

  test("any port names its target's", () => {
    expect(pairPorts(must(parseListen("0/udp")), must(parseTarget("db")), "tcp").ok).toBe(false);
  });
});
