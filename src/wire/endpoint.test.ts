import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatEndpoint, formatHostPort, type HostPortDefaults, parseHost, parseHostPort } from "./endpoint.ts";

test("formatEndpoint brackets IPv6 only", () => {
  expect(formatEndpoint({ address: "192.0.2.1", port: 80 })).toBe("192.0.2.1:80");
  expect(formatEndpoint({ address: "2001:db8::1", port: 80 })).toBe("[2001:db8::1]:80");
});

describe("parseHostPort", () => {
  const both: HostPortDefaults = { defaultHost: "0.0.0.0", defaultPort: 7744 };
  const good: [string, HostPortDefaults, string, number][] = [
    ["example.com:80", {}, "example.com", 80],
    ["Example.COM:80", {}, "example.com", 80],
    ["my_host-1:65535", {}, "my_host-1", 65535],
    ["192.0.2.7:1", {}, "192.0.2.7", 1],
    ["[2001:DB8::7]:80", {}, "2001:db8::7", 80],
    ["[::ffff:192.0.2.7]:80", {}, "192.0.2.7", 80],
    ["*:80", {}, "*", 80],
    [":80", both, "0.0.0.0", 80],
    ["80", both, "0.0.0.0", 80],
    ["relay.example.com.", both, "relay.example.com.", 7744],
    ["[::1]", both, "::1", 7744],
    ["*", both, "*", 7744],
    ["127.0.0.1:0", { allowPortZero: true }, "127.0.0.1", 0],
    ["0", { ...both, allowPortZero: true }, "0.0.0.0", 0],
  ];
  for (const [text, defaults, host, port] of good) {
    test(`${text} is ${host} ${port}`, () => {
      expect(parseHostPort(text, defaults)).toEqual({ ok: true, value: { host, port } });
    });
  }

  const bad: [string, HostPortDefaults, number, number, string | undefined][] = [
    ["", both, 0, 0, undefined],
    ["80", {}, 0, 2, "127.0.0.1:80"],
    [":80", {}, 0, 3, "127.0.0.1:80"],
    [":", both, 1, 0, undefined],
    ["example.com", {}, 0, 11, "example.com:8080"],
    ["example.com:", {}, 12, 0, undefined],
    ["example.com:0", {}, 12, 1, undefined],
    ["example.com:65536", {}, 12, 5, undefined],
    ["example.com:080808", {}, 12, 6, undefined],
    ["example.com:http", {}, 12, 4, undefined],
    ["example.com:-1", {}, 12, 2, undefined],
    ["exa mple:80", {}, 3, 1, undefined],
    ["bücher.example:80", {}, 1, 1, undefined],
    ["-a:80", {}, 0, 2, undefined],
    ["a-.b:80", {}, 0, 2, undefined],
    ["a..b:80", {}, 2, 1, undefined],
    [".:80", {}, 0, 1, undefined],
    [`${"a".repeat(64)}:80`, {}, 0, 64, undefined],
    [`${"a.".repeat(127)}a:80`, {}, 253, 2, undefined],
    ["1.2.3:80", {}, 0, 5, undefined],
    ["1.2.3.4.5:80", {}, 0, 9, undefined],
    ["01.2.3.4:80", {}, 0, 8, undefined],
    ["0x7f000001:80", {}, 0, 10, undefined],
    ["2001:db8::7:80", both, 0, 14, "[2001:db8::7:80]:8080"],
    ["1:2:3:4:5:6:7:8:80", {}, 0, 18, "[1:2:3:4:5:6:7:8]:80"],
    ["a:b:80", {}, 0, 6, undefined],
    ["[::1", {}, 0, 4, undefined],
    ["[::1]80", {}, 5, 2, undefined],
    ["[::1]", {}, 0, 5, "[::1]:8080"],
    ["[example.com]:80", {}, 0, 13, undefined],
    ["[]:80", {}, 0, 2, undefined],
    ["[::g]:80", {}, 1, 3, undefined],
    ["[fe80::1%eth0]:80", {}, 8, 5, undefined],
    ["a/b:80", {}, 1, 1, undefined],
  ];
  for (const [text, defaults, offset, length, suggestion] of bad) {
    test(`refuses ${JSON.stringify(text.slice(0, 30))} at ${offset}`, () => {
      const parsed = parseHostPort(text, defaults);
      expect(parsed).toMatchObject({ ok: false, error: { offset, length } });
      if (!parsed.ok) expect(parsed.error.suggestion).toBe(suggestion);
    });
  }

  test("what it takes prints and parses to the same", () => {
    const text = fc.array(fc.constantFrom(..."aB1:.[]*-_%0".split("")), { maxLength: 16 }).map((all) => all.join(""));
    fc.assert(
      fc.property(text, (candidate) => {
        const parsed = parseHostPort(candidate, { defaultHost: "::", defaultPort: 1, allowPortZero: true });
        if (!parsed.ok) return;
        const again = parseHostPort(formatHostPort(parsed.value.host, parsed.value.port), { allowPortZero: true });
        expect(again).toEqual(parsed);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("parseHost", () => {
  test("IPv6 needs no brackets here", () =>
    expect(parseHost("2001:DB8::1")).toEqual({ ok: true, value: "2001:db8::1" }));
  test("an empty host is refused", () => expect(parseHost("").ok).toBe(false));
  test("a name of 253 characters with a final dot passes", () => {
    expect(parseHost(`${"a.".repeat(126)}a.`).ok).toBe(true);
  });
});
