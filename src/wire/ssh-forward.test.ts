import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatSshForward, parseSshForward, type SshFlag, type SshForward } from "./ssh-forward.ts";

type Listen = SshForward["listen"];
const byDefault = (port: number): Listen => ({ bind: "127.0.0.1", bindGiven: false, port });
const given = (bind: string, port: number): Listen => ({ bind, bindGiven: true, port });
const web = { host: "example.com", port: 80 };

describe("parseSshForward", () => {
  const good: [SshFlag, string, SshForward][] = [
    ["-L", "8080:example.com:80", { kind: "local", listen: byDefault(8080), target: web }],
    ["-L", "0:example.com:80", { kind: "local", listen: byDefault(0), target: web }],
    ["-L", "*:8080:example.com:80", { kind: "local", listen: given("*", 8080), target: web }],
    ["-L", ":8080:example.com:80", { kind: "local", listen: given("*", 8080), target: web }],
    ["-L", "localhost:8080:example.com:80", { kind: "local", listen: given("127.0.0.1", 8080), target: web }],
    ["-L", "192.0.2.1:8080:example.com:80", { kind: "local", listen: given("192.0.2.1", 8080), target: web }],
    [
      "-L",
      "[::1]:8080:[2001:DB8::1]:80",
      { kind: "local", listen: given("::1", 8080), target: { host: "2001:db8::1", port: 80 } },
    ],
    ["-L", "8080:[example.com]:80", { kind: "local", listen: byDefault(8080), target: web }],
    ["-R", "8080:example.com:80", { kind: "remote", listen: byDefault(8080), target: web }],
    ["-R", "*:8080:example.com:80", { kind: "remote", listen: given("*", 8080), target: web }],
    ["-R", "1080", { kind: "remote-dynamic", listen: byDefault(1080) }],
    ["-R", "*:0", { kind: "remote-dynamic", listen: given("*", 0) }],
    ["-D", "1080", { kind: "dynamic", listen: byDefault(1080) }],
    ["-D", ":1080", { kind: "dynamic", listen: given("*", 1080) }],
    ["-D", "[::]:1080", { kind: "dynamic", listen: given("::", 1080) }],
  ];
  for (const [flag, text, value] of good) {
    test(`${flag} ${text}`, () => {
      expect(parseSshForward(flag, text)).toEqual({ ok: true, value });
      expect(parseSshForward(flag, formatSshForward(value))).toEqual({ ok: true, value });
    });
  }

  const bad: [SshFlag, string, number, number][] = [
    ["-L", "", 0, 0],
    ["-L", "8080", 0, 4],
    ["-L", "8080:example.com", 0, 16],
    ["-L", "a:b:c:d:e", 0, 9],
    ["-L", "::1:8080:example.com:80", 0, 23],
    ["-L", "/run/a.sock:example.com:80", 0, 11],
    ["-L", "8080:/run/a.sock", 5, 11],
    ["-R", "/run/a.sock:/run/b.sock", 0, 11],
    ["-L", "http:example.com:80", 0, 4],
    ["-L", "8080:example.com:0", 17, 1],
    ["-L", "8080:example.com:", 17, 0],
    ["-L", "8080::80", 5, 0],
    ["-L", "8080:exa mple:80", 8, 1],
    ["-L", "8080:[::g]:80", 6, 3],
    ["-L", "my-host:8080:example.com:80", 0, 7],
    ["-L", "[]:8080:example.com:80", 1, 0],
    ["-L", "[::1:8080:example.com:80", 0, 24],
    ["-L", "[::1]8080:example.com:80", 5, 1],
    ["-D", "1080:example.com:80", 0, 19],
    ["-D", "65536", 0, 5],
    ["-D", "", 0, 0],
  ];
  for (const [flag, text, offset, length] of bad) {
    test(`refuses ${flag} ${text} at ${offset}`, () => {
      expect(parseSshForward(flag, text)).toMatchObject({ ok: false, error: { offset, length } });
    });
  }

  test("what it takes prints and parses to the same", () => {
    const text = fc.array(fc.constantFrom(..."a18:::[]*./".split("")), { maxLength: 20 }).map((all) => all.join(""));
    fc.assert(
      fc.property(fc.constantFrom<SshFlag>("-L", "-R", "-D"), text, (flag, candidate) => {
        const parsed = parseSshForward(flag, candidate);
        if (parsed.ok) expect(parseSshForward(flag, formatSshForward(parsed.value))).toEqual(parsed);
        else expect(parsed.error.offset + parsed.error.length).toBeLessThanOrEqual(candidate.length);
      }),
      { numRuns: 2000 },
    );
  });
});
