import { describe, expect, test } from "bun:test";
import { decodeHandover, encodeHandover, type HandoverMessage } from "./handover.ts";

const MESSAGES: readonly HandoverMessage[] = [
  { t: "hello", v: 1, pid: 4_711, version: "0.2.0" },
  {
    t: "yours",
    v: 1,
    version: "0.1.0",
    agentPort: 7_744,
    ports: [
      { protocol: "tcp", first: 8_840, last: 8_849 },
      { protocol: "udp", first: 53, last: 53 },
    ],
    devices: ["a device's id"],
    bySsh: ["another's"],
    servers: true,
  },
  { t: "refused", message: "It is stopping." },
  { t: "serving" },
  { t: "free" },
  { t: "free", beside: true },
  { t: "freed" },
  { t: "opened", device: "d", id: "web" },
  { t: "closed", device: "d", id: "web" },
  { t: "cut", device: "d" },
  { t: "done" },
  { t: "released" },
  { t: "stop", drainMs: 10_000 },
];

describe("what two processes of a relay say to each other", () => {
  for (const message of MESSAGES) {
    const line = encodeHandover(message);
    test(`${message.t} comes back, and no part of it is a message`, () => {
      expect(line.at(-1)).toBe(0x0a);
      expect(decodeHandover(line.subarray(0, -1))).toEqual({ ok: true, value: message });
      for (let end = 0; end < line.length - 1; end++) expect(decodeHandover(line.subarray(0, end)).ok).toBe(false);
    });
  }

  const WRONG: Readonly<Record<string, string>> = {
    "an unknown type": '{"t":"mine"}',
    "a port that is none": '{"t":"yours","v":1,"version":"1","agentPort":0,"ports":[],"devices":[]}',
    "a field that is missing": '{"t":"opened","device":"d"}',
    "no object": "[]",
    "no JSON": "hello",
  };
  for (const [name, line] of Object.entries(WRONG)) {
    test(`${name} is refused`, () => expect(decodeHandover(new TextEncoder().encode(line)).ok).toBe(false));
  }

  test("a key of a later version is ignored", () => {
    const decoded = decodeHandover(new TextEncoder().encode('{"t":"done","later":1}'));
    expect(decoded).toEqual({ ok: true, value: { t: "done" } });
  });
});
