import { describe, expect, test } from "bun:test";
import { type CarriedMessage, decodeCarried, encodeCarried } from "./carried.ts";

const MESSAGES: readonly CarriedMessage[] = [
  { t: "hello", v: 1 },
  {
    t: "here",
    client: 1,
    device: "a device's id",
    key: "SHA256:abc",
    visitor: { address: "203.0.113.7", port: 40_000 },
    entry: { address: "2001:db8::1", port: 2_222 },
    forwards: [{ id: "ssh-8080", port: 8_080, bind: "" }],
    sockets: ["/web"],
  },
  { t: "all" },
  { t: "forward", client: 2, request: 1, bind: "localhost", port: 0 },
  { t: "cancel", client: 2, request: 2, bind: "*", port: 8_080 },
  { t: "socket", client: 2, request: 3, path: "/web" },
  { t: "cancelSocket", client: 2, request: 4, path: "/web" },
  { t: "count", client: 2 },
  { t: "gone", client: 2, why: "the client said goodbye" },
  { t: "ready", client: 1 },
  { t: "ready", client: 1, counts: true },
  { t: "counted", client: 1, visitorsTotal: 3, visitorsOpen: 1, bytesIn: 2 ** 40, bytesOut: 0 },
  { t: "opened", client: 2, request: 1, id: "ssh-any-1", port: 20_000 },
  { t: "done", client: 2, request: 2 },
  { t: "refused", client: 2, request: 3, message: "A socket of the relay has a name." },
  { t: "lost", client: 1, port: 8_080 },
  { t: "end", client: 0xffff_ffff, why: "its key was removed" },
  { t: "whole" },
  { t: "moved" },
];

describe("what a process that carries SSH clients and the relay say to each other", () => {
  for (const message of MESSAGES) {
    const bytes = encodeCarried(message);
    test(`${message.t} comes back, and no part of it is a message`, () => {
      expect(decodeCarried(bytes)).toEqual({ ok: true, value: message });
      for (let end = 0; end < bytes.length; end++) expect(decodeCarried(bytes.subarray(0, end)).ok).toBe(false);
    });
  }

  const WRONG: Readonly<Record<string, string>> = {
    "an unknown type": '{"t":"mine"}',
    "a client that is none": '{"t":"ready","client":0}',
    "a count of less than nothing":
      '{"t":"counted","client":1,"visitorsTotal":0,"visitorsOpen":-1,"bytesIn":0,"bytesOut":0}',
    "a port that is none": '{"t":"lost","client":1,"port":65536}',
    "an address that is none":
      '{"t":"here","client":1,"device":"d","key":null,"visitor":{"address":"here","port":1},"entry":{"address":"::1","port":1},"forwards":[],"sockets":[]}',
    "a name that is too long": `{"t":"socket","client":1,"request":1,"path":"${"x".repeat(256)}"}`,
    "no object": "[]",
    "no JSON": "hello",
    "no UTF-8": "\u0000",
  };
  for (const [name, text] of Object.entries(WRONG)) {
    const bytes = name === "no UTF-8" ? Uint8Array.of(0xff) : new TextEncoder().encode(text);
    test(`${name} is refused`, () => expect(decodeCarried(bytes).ok).toBe(false));
  }

  test("a key of a later version is ignored", () => {
    const decoded = decodeCarried(new TextEncoder().encode('{"t":"moved","later":1}'));
    expect(decoded).toEqual({ ok: true, value: { t: "moved" } });
  });
});
