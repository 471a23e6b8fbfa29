import { describe, expect, test } from "bun:test";
import { parsePortSet, settleProtocol } from "../wire/port-set.ts";
import { exampleEvent, exampleForward } from "./events.fixture.ts";
import { EVENT_KINDS, type ForwardEvent } from "./events.ts";
import {
  type Delivery,
  fillTemplates,
  type HookFilter,
  hookHears,
  hookVariables,
  judgeStatus,
  unknownTemplates,
} from "./hooks.ts";
import { EVERYBODY } from "./open-ports.ts";

function portSet(text: string) {
  const set = parsePortSet(text);
  if (!set.ok) throw new Error(set.error.message);
  return set.value;
}
const ports = (text: string) => settleProtocol(portSet(text), "tcp");

const ALL: HookFilter = { on: EVENT_KINDS, forward: null, owner: EVERYBODY, ports: null };
const closed = exampleEvent({ event: "closed", reason: "expired" });

test.each<[string, Partial<HookFilter>, ForwardEvent, boolean]>([
  ["everything", {}, exampleEvent(), true],
  ["its kind of event", { on: ["closed"] }, closed, true],
  ["another kind", { on: ["opened", "changed"] }, closed, false],
  ["the forward by name", { forward: "torrent" }, exampleEvent(), true],
  ["the forward by id", { forward: "m1" }, exampleEvent(), true],
  ["another forward", { forward: "web" }, exampleEvent(), false],
  ["another owner", { owner: { kind: "device", device: "attic" } }, exampleEvent(), false],
  ["one of its ports", { ports: portSet("1-60000") }, exampleEvent(), true],
  ["a port of the other protocol", { ports: portSet("51413/udp") }, exampleEvent(), false],
  ["its internal port does not count", { ports: portSet("6881") }, exampleEvent(), false],
])("hookHears: %s", (_what, filter, event, hears) => {
  expect(hookHears({ ...ALL, ...filter }, event)).toBe(hears);
});

describe("hookVariables", () => {
  test("of a mapping", () => {
    expect(hookVariables(exampleEvent(), { vpnInterface: "wg0", missed: 0 })).toEqual({
      HATCHWAY_EVENT: "opened",
      HATCHWAY_EVENT_ID: "run-1",
      HATCHWAY_SEQ: "1",
      HATCHWAY_TIME_SEC: "1700000000",
      HATCHWAY_MISSED: "0",
      HATCHWAY_FORWARD_ID: "m1",
      HATCHWAY_FORWARD_NAME: "torrent",
      HATCHWAY_FORWARD_TYPE: "mapping",
      HATCHWAY_FORWARD_ORIGIN: "natpmp",
      HATCHWAY_CLIENT: "192.168.1.20",
      HATCHWAY_PROTOCOL: "tcp",
      HATCHWAY_PORTS: "51413:6881/tcp",
      HATCHWAY_EXTERNAL_PORT: "51413",
      HATCHWAY_EXTERNAL_PORTS: "51413",
      HATCHWAY_EXTERNAL_ADDRESS: "203.0.113.7",
      HATCHWAY_INTERNAL_ADDRESS: "192.168.1.20",
      HATCHWAY_INTERNAL_PORT: "6881",
      HATCHWAY_LIFETIME_SEC: "3600",
      HATCHWAY_EXPIRES_SEC: "1700003600",
      HATCHWAY_INTERFACE: "wg0",
    });
  });

  test("what there is nothing to say of is absent", () => {
    const forward = exampleForward({
      owner: { kind: "device", id: "d1", name: "attic" },
      ports: ports("8820/udp, 8810-8815:9810-9815"),
      externalHosts: [],
      to: null,
      lifetimeSec: null,
      expiresMs: null,
    });
    const event = exampleEvent({ event: "closed", forward, reason: "revoked" });
    const variables = hookVariables(event, { vpnInterface: "", missed: 3 });
    expect(Object.keys(variables).toSorted()).toEqual([
      "HATCHWAY_DEVICE",
      "HATCHWAY_EVENT",
      "HATCHWAY_EVENT_ID",
      "HATCHWAY_EXTERNAL_PORT",
      "HATCHWAY_EXTERNAL_PORTS",
      "HATCHWAY_FORWARD_ID",
      "HATCHWAY_FORWARD_NAME",
      "HATCHWAY_FORWARD_ORIGIN",
      "HATCHWAY_FORWARD_TYPE",
      "HATCHWAY_INTERNAL_PORT",
      "HATCHWAY_MISSED",
      "HATCHWAY_PORTS",
      "HATCHWAY_PROTOCOL",
      "HATCHWAY_REASON",
      "HATCHWAY_SEQ",
      "HATCHWAY_TIME_SEC",
    ]);
    expect(variables).toMatchObject({
      HATCHWAY_REASON: "revoked",
      HATCHWAY_MISSED: "3",
      HATCHWAY_PROTOCOL: "tcp+udp",
      HATCHWAY_PORTS: "8810-8815:9810-9815/tcp, 8820/udp",
      HATCHWAY_EXTERNAL_PORT: "8810",
      HATCHWAY_EXTERNAL_PORTS: "8810-8815,8820",
      HATCHWAY_INTERNAL_PORT: "9810",
    });
  });

  test("no control character reaches a program, wherever it was written", () => {
    const bad = "a\0b\nc\u001b[2Kd\u202ee\u2028f\ud800g";
    const forward = exampleForward({
      id: bad,
      name: bad,
      owner: { kind: "device", id: bad, name: bad },
      externalHosts: [bad],
      to: bad,
    });
    const variables = hookVariables(exampleEvent({ forward }), { vpnInterface: bad, missed: 0 });
    expect(Object.values(variables).join("")).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    expect(variables.HATCHWAY_FORWARD_NAME).toBe("a\ufffdb\ufffdc\ufffd[2Kd\ufffde\ufffdf\ufffdg");
  });
});

describe("templates", () => {
  test.each<[string, string[], string, string[]]>([
    ["the lowest port", ["set", "{{PORT}}"], "9000, 80", ["set", "80"]],
    ["every port", ["--ports={{PORTS}}"], "9000, 80-82", ["--ports=80,81,82,9000"]],
    ["the interface, twice in one item", ["{{VPN_INTERFACE}}:{{VPN_INTERFACE}}"], "80", ["wg 0:wg 0"]],
    [
      "other braces are the program's",
      ["{{.State}}", "{{ PORT }}", "{{port}}", "{PORT}"],
      "80",
      ["{{.State}}", "{{ PORT }}", "{{port}}", "{PORT}"],
    ],
    ["unknown names stay", ["{{PROT}}"], "80", ["{{PROT}}"]],
    ["no item is split, joined or lost", ["", "a b", "$(reboot); {{PORT}}"], "80", ["", "a b", "$(reboot); 80"]],
  ])("%s", (_what, argv, text, filled) => {
    expect(fillTemplates(argv, exampleForward({ ports: ports(text) }), "wg 0")).toEqual(filled);
  });

  test("nothing that a client said of itself becomes an argument", () => {
    const forward = exampleForward({ id: "{{PORT}}", name: "--evil", to: "--evil" });
    expect(fillTemplates(["{{PORT}}", "{{PORTS}}"], forward, "").join()).toBe("51413,51413");
  });

  test("unknown ones are found", () => {
    expect(unknownTemplates(["{{PORT}}{{PROT}}", "{{.State}}", "{{VPN_IF}}"])).toEqual(["PROT", "VPN_IF"]);
  });
});

test.each<[number, Delivery]>([
  [200, "taken"],
  [204, "taken"],
  [301, "refused"],
  [307, "refused"],
  [400, "refused"],
  [401, "refused"],
  [404, "refused"],
  [408, "again"],
  [410, "refused"],
  [425, "again"],
  [429, "again"],
  [500, "again"],
  [503, "again"],
])("a webhook's status %d: %s", (status, delivery) => {
  expect(judgeStatus(status)).toBe(delivery);
});
