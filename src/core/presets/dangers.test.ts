import { describe, expect, test } from "bun:test";
import { parsePortSet } from "../../wire/port-set.ts";
import { dangersOf, warningsFor } from "./dangers.ts";
import { presetPorts } from "./ports.ts";
import { PRESETS } from "./presets.ts";

test.each<[string, RegExp]>([
  ["21/tcp", /FTP/],
  ["22", /^Port 22\/tcp is for SSH/],
  ["23", /Telnet/],
  ["53/udp", /DNS/],
  ["80", /settings of routers/],
  ["443/tcp", /settings of routers/],
  ["445/tcp", /SMB/],
  ["554/tcp", /cameras/],
  ["1883", /MQTT without TLS/],
  ["2375", /Docker/],
  ["3306", /databases/],
  ["3389", /^Port 3389\/tcp\+udp is for Windows Remote Desktop/],
  ["5432/tcp", /databases/],
  ["5900", /VNC/],
  ["5901-5903/tcp", /^Ports 5901-5903\/tcp are for VNC/],
  ["6379", /Redis/],
  ["9200", /Elasticsearch/],
  ["11211/udp", /memcached/],
  ["25575", /RCON/],
  ["27015/tcp", /RCON/],
  ["27017", /databases/],
  ["28016", /RCON/],
])("%s warns once", (ports, sentence) => {
  const warnings = warningsFor(ports);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(sentence);
});

describe("which port counts", () => {
  test.each<[string, string, string[]]>([
    ["the one inside", "13389:3389/tcp", ["3389/tcp"]],
    ["not the one outside", "3389:8081/tcp", []],
    ["within a range that is moved", "10000-10010:3380-3390/tcp", ["3389/tcp"]],
    ["twice outside, once inside", "1000:23/tcp, 1001:23/tcp", ["23/tcp"]],
    ["several of one kind", "3306,5432/tcp", ["3306/tcp, 5432/tcp"]],
    ["several of several kinds", "22-23/tcp", ["22/tcp", "23/tcp"]],
    ["another protocol", "27015/udp, 23/udp, 5900/udp", []],
    ["harmless ones", "25565, 19132/udp, 8840, 8810-8815", []],
    ["no port set", "minecraft", []],
    ["nothing", "", []],
  ])("%s", (_name, text, ports) => {
    expect(dangersOf(text).map((danger) => danger.ports)).toEqual(ports);
  });

  test("a port without a protocol counts as what it will be", () => {
    expect(dangersOf("27015", "udp")).toEqual([]);
    expect(dangersOf("27015", "tcp")).toHaveLength(1);
    expect(dangersOf("53", "tcp")).toEqual([]);
  });

  test("a parsed set is the same as its text", () => {
    const parsed = parsePortSet("22, 3389");
    expect(parsed.ok && warningsFor(parsed.value)).toEqual(warningsFor("22, 3389"));
  });
});

test("every port: bounded, each in one sentence, each once", () => {
  const all = warningsFor("1-65535");
  expect(all.length).toBeGreaterThan(20);
  expect(all.length).toBeLessThan(40);
  expect(new Set(all).size).toBe(all.length);
  expect(all.filter((sentence) => !/^Ports? [\d-/,a-z+ ]+ (is|are) for [^.]+\.$/.test(sentence))).toEqual([]);
});

test("what a preset opens is in the list when the preset says that it is dangerous", () => {
  const dangerous = PRESETS.filter(({ risk, inboundNeeded }) => risk === "danger" && inboundNeeded);
  expect(dangerous.length).toBeGreaterThan(4);
  for (const preset of dangerous) {
    expect([preset.id, dangersOf(presetPorts(preset)).some(({ level }) => level === "danger")]).toEqual([
      preset.id,
      true,
    ]);
  }
});
