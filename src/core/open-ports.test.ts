import { describe, expect, test } from "bun:test";
import { compileCidrs, parseCidr } from "../wire/address.ts";
import { parsePortSet, settleProtocol } from "../wire/port-set.ts";
import { exampleForward } from "./events.fixture.ts";
import { type EventForward, EventLog } from "./events.ts";
import { EVERYBODY, isOwnedBy, listPorts, MAX_LISTED_PORTS, OpenForwards, type OwnerFilter } from "./open-ports.ts";

function ports(text: string) {
  const set = parsePortSet(text);
  if (!set.ok) throw new Error(set.error.message);
  return settleProtocol(set.value, "tcp");
}

function client(network: string): OwnerFilter {
  const cidr = parseCidr(network);
  if (!cidr.ok) throw new Error(cidr.error.message);
  return { kind: "client", networks: compileCidrs([cidr.value]) };
}

const attic = exampleForward({ owner: { kind: "device", id: "d1", name: "attic" }, to: "attic" });
const operators = exampleForward({ owner: { kind: "host" } });

test.each<[string, EventForward, OwnerFilter, boolean]>([
  ["everybody", exampleForward(), EVERYBODY, true],
  ["a device by its name", attic, { kind: "device", device: "attic" }, true],
  ["a device by its id", attic, { kind: "device", device: "d1" }, true],
  ["another device", attic, { kind: "device", device: "cellar" }, false],
  ["a device and a client", exampleForward(), { kind: "device", device: "192.168.1.20" }, false],
  ["a client by its address", exampleForward({ to: null }), client("192.168.1.20"), true],
  ["a client by its network", exampleForward({ to: null }), client("192.168.1.0/24"), true],
  ["another client", exampleForward(), client("192.168.1.21"), false],
  ["what the operator made for the client", operators, client("192.168.1.20"), true],
  ["a forward that leads to a name", attic, client("0.0.0.0/0"), false],
])("isOwnedBy: %s", (_what, forward, filter, owned) => {
  expect(isOwnedBy(forward, filter)).toBe(owned);
});

test.each<[string, string[], number[]]>([
  ["nothing", [], []],
  ["one", ["51413:6881"], [51413]],
  ["ascending, whatever the order", ["9000, 80", "443"], [80, 443, 9000]],
  ["both protocols are one number", ["53/tcp+udp"], [53]],
  ["a range", ["8810-8812"], [8810, 8811, 8812]],
  ["two that overlap", ["80-82/tcp", "81-83/udp"], [80, 81, 82, 83]],
])("listPorts: %s", (_what, texts, listed) => {
  expect(listPorts(texts.map((text) => exampleForward({ ports: ports(text) })))).toEqual(listed);
});

test("a list of ports is bounded", () => {
  const listed = listPorts([exampleForward({ ports: ports("1-65535") })]);
  expect([listed.length, listed[0]]).toEqual([MAX_LISTED_PORTS, 1]);
});

describe("OpenForwards", () => {
  test("knows what is open from the events alone", () => {
    const log = new EventLog({ run: "run" });
    const open = new OpenForwards();
    log.subscribe((event) => open.apply(event));
    const seen: (readonly number[])[] = [];
    const see = () => seen.push(open.ports(EVERYBODY));
    log.append({ event: "opened", forward: exampleForward({ ports: ports("80") }) }, 0);
    see();
    log.append({ event: "opened", forward: exampleForward({ id: "m2", ports: ports("70") }) }, 0);
    see();
    log.append({ event: "changed", forward: exampleForward({ ports: ports("90") }) }, 0);
    see();
    log.append({ event: "closed", forward: exampleForward({ ports: ports("90") }), reason: "removed" }, 0);
    see();
    log.append({ event: "closed", forward: exampleForward({ id: "nobody's" }), reason: "removed" }, 0);
    see();
    expect(seen).toEqual([[80], [70, 80], [70, 90], [70], [70]]);
    expect(open.ports(client("192.168.1.21"))).toEqual([]);
  });
});
