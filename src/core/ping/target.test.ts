import { describe, expect, test } from "bun:test";
import { formatPingVia, parsePingTarget, parsePingVia } from "./target.ts";

describe("a target", () => {
  test.each([
    ["db:5432", { kind: "host", host: "db", port: 5432, protocol: null }],
    ["db.example.net:53/udp", { kind: "host", host: "db.example.net", port: 53, protocol: "udp" }],
    ["[2001:db8::7]:22/tcp", { kind: "host", host: "2001:db8::7", port: 22, protocol: "tcp" }],
    ["25565", { kind: "port", port: 25565, protocol: null }],
    ["19132/udp", { kind: "port", port: 19132, protocol: "udp" }],
    ["minecraft", { kind: "name", name: "minecraft", protocol: null }],
    ["minecraft/udp", { kind: "name", name: "minecraft", protocol: "udp" }],
    ["remote/minecraft", { kind: "name", name: "remote/minecraft", protocol: null }],
    ["8810-8815", { kind: "name", name: "8810-8815", protocol: null }],
    ["my web site", { kind: "name", name: "my web site", protocol: null }],
  ])("%s", (text, expected) => {
    expect(parsePingTarget(text) as unknown).toEqual({ ok: true, value: expected });
  });

  test.each([
    ["", "HOST:PORT"],
    ["/udp", "HOST:PORT"],
    ["70000", "from 1 to 65535"],
    ["0", "from 1 to 65535"],
    ["db:", "from 1 to 65535"],
    ["*:80", "one host"],
    ["2001:db8::7:22", "brackets"],
    ["x".repeat(300), "HOST:PORT"],
  ])("%s is refused", (text, why) => {
    const parsed = parsePingTarget(text);
    expect(parsed.ok ? "" : parsed.error.message).toContain(why);
  });
});

describe("via", () => {
  test.each([
    ["relay", "relay"],
    ["agent:office", "agent:office"],
    ["agent:the office", "agent:the office"],
    ["socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"],
    ["socks5://proxy.example/", "socks5://proxy.example:1080"],
    ["socks5://[::1]:9050", "socks5://[::1]:9050"],
  ])("%s", (text, again) => {
    const parsed = parsePingVia(text);
    expect(parsed.ok ? formatPingVia(parsed.value) : parsed.error.message).toBe(again);
  });

  test.each([
    ["", "relay, agent:NAME or socks5"],
    ["office", "relay, agent:NAME or socks5"],
    ["agent:", "relay, agent:NAME or socks5"],
    ["http://proxy:8080", "relay, agent:NAME or socks5"],
    ["socks5://", "HOST:PORT"],
    ["socks5://me:secret@proxy:1080", "leave them out"],
    ["socks5://proxy:99999", "from 1 to 65535"],
  ])("%s is refused", (text, why) => {
    const parsed = parsePingVia(text);
    expect(parsed.ok ? "" : parsed.error.message).toContain(why);
  });

  test("a mistake in a proxy's address is pointed at where it stands", () => {
    expect(parsePingVia("socks5://proxy:99999")).toMatchObject({ ok: false, error: { offset: 15, length: 5 } });
  });
});
