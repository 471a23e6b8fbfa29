import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Our column of docs/comparison-router.md: each cell names the tests that would fail if it were not so. */
const ROOT = join(import.meta.dir, "../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** `file: title`, as it stands in the file. */
const MAP = "test/netns/map.test.ts";
const FORGED = "test/netns/router-forged.test.ts";
const CHECK = "test/netns/check-router.test.ts";
const TWO = "test/netns/router-two.test.ts";
const KEEP = "src/router/keep.test.ts";
const PROBE = "src/router/igd/probe.test.ts";
const PORTS = "src/router/igd/port-mappings.test.ts";
const PCP = "src/router/portmap/pcp-mapper.test.ts";
const NAT_PMP = "src/router/portmap/natpmp-mapper.test.ts";
const VISITOR = [MAP, "TCP, UDP, a list and a range are open to a visitor, and gone after Ctrl-C"] as const;
const PINHOLE = [MAP, "an IPv6 pinhole beside the IPv4 mapping, by PCP and by UPnP"] as const;
const SEARCH = "answers to a search, from another host and in the router's name: map and router go by the router's own";
const FRAMED = [PROBE, "that marks its replies off by: %s"] as const;
const ROUTES = "by the routes of both families, each with the address to map to";

const SHOWN: Readonly<Record<string, readonly (readonly [file: string, title: string])[]>> = {
  "PCP MAP": [VISITOR, [PCP, "opens, renews and deletes by one nonce, of each protocol"]],
  "NAT-PMP": [VISITOR, [NAT_PMP, "opens, renews and deletes, of each protocol"]],
  "UPnP-IGD 1": [
    [PROBE, "of version 1"],
    [PORTS, "another's port of version 1"],
  ],
  "IGD 2, AddAnyPortMapping": [VISITOR, [PORTS, "another's port of version 2"]],
  "order, fallback": [
    [KEEP, "the best that answers; the others are probed at the same time, once"],
    [KEEP, "the next one, when one fails for the wish; later wishes begin there"],
  ],
  "one protocol forced": [VISITOR, [KEEP, "only one, when that is wanted"]],
  "IPv6 pinhole by PCP": [PINHOLE],
  "IPv6 pinhole by WANIPv6FirewallControl": [PINHOLE],
  "TCP and UDP": [VISITOR],
  "port lists and ranges in one call": [VISITOR],
  "for another host": [
    [CHECK, "a port that is another one inside, and one of another machine"],
    [PCP, "by THIRD_PARTY, where the router lets it"],
  ],
  "port taken (718, 501): another one": [
    [MAP, "a port that is taken: another one and a note, or none with --same-port"],
    [PORTS, "a router that fails for what is taken"],
  ],
  "725, 402: permanent lease": [
    [PORTS, "a router without leases that says so"],
    [PORTS, "a router without leases that calls them invalid"],
  ],
  renewal: [[MAP, "leases are renewed at their half, and end by themselves after kill -9"]],
  "router rebooted: mappings again": [
    [MAP, "a router that starts again without its leases gets the port back within 10 s"],
  ],
  "network change, sleep": [
    [TWO, "the default route leads to the other router: the port is opened there"],
    [TWO, "another address of this machine: the port leads there"],
    [KEEP, "after a sleep the lease is shorter by it"],
  ],
  "removed at exit": [VISITOR],
  "external address 0.0.0.0": [
    [PORTS, "the external address %j: %p"],
    [PCP, "0.0.0.0 is no address"],
    [NAT_PMP, "its address, of which 0.0.0.0 is none, and its epoch"],
  ],
  "two IGDs answer": [[TWO, "a port is opened at the gateway of the default route alone"]],
  "SSDP answers only from the gateway": [[FORGED, SEARCH]],
  "description and control URL pinned": [
    [FORGED, SEARCH],
    [FORGED, "its control elsewhere"],
  ],
  "source of NAT-PMP and PCP answers": [[FORGED, "while a question waits for its answer"]],
  "PCP nonce": [
    [FORGED, "while a question waits for its answer"],
    [PCP, "an answer with another nonce does not count"],
  ],
  "XML entities not expanded": [
    [FORGED, "an XML bomb as description"],
    [FORGED, "an XML bomb as answer"],
  ],
  "size limit on what it reads by HTTP": [
    [PROBE, "a description of 1 MB"],
    [PROBE, "the same, of no length"],
  ],
  "chunked HTTP": [FRAMED],
  "cut off or unterminated HTTP": [FRAMED],
  "SOAP with no namespace, with a wrong one": [[PROBE, "whose documents have namespaces: %s"]],
  "finds the gateway": [["test/netns/router-portmap.test.ts", ROUTES]],
  "– on": [["test/netns/router-portmap.test.ts", ROUTES]],
  "router's mapping list": [
    ["src/router/igd/listing.test.ts", "both protocols, those of other hosts with it"],
    [
      "test/netns/router.test.ts",
      "without STUN the same router is open, and not for certain; another one's ports are listed",
    ],
  ],
  "double NAT and CGNAT told, with evidence": [["test/netns/router.test.ts", "%s, %s above: %s, certain: %p"]],
  STUN: [["test/netns/router.test.ts", "%s, %s above: %s, certain: %p"]],
  "port check from outside, naming the hop": [
    [CHECK, "open; the router forgot it; open again"],
    ["test/netns/check.test.ts", "port taken on the relay, by another program and by another device"],
  ],
  "command line": [VISITOR],
};
/** What no test of the router client shows. */
const FACTS = ["library", "language", "licence", "version read", "last change in the copy read"];

const rows = read("docs/comparison-router.md")
  .split("\n")
  .flatMap((line) => line.match(/^\| (?!\*\*|---)([^|\s][^|]*?) \| /)?.[1] ?? []);
const isFact = (row: string): boolean => FACTS.some((fact) => row.startsWith(fact));

test("every row of the table has its tests, and no other", () => {
  expect(rows.length).toBeGreaterThan(30);
  expect(rows.filter((row) => !isFact(row))).toEqual(Object.keys(SHOWN));
});

describe.each(Object.entries(SHOWN))("%s", (_row, tests) => {
  test.each(tests.map(([file, title]) => [file, title] as const))("%s: %s", (file, title) => {
    expect(['"', "`"].some((quote) => read(file).includes(`${quote}${title}${quote}`))).toBe(true);
  });
});
