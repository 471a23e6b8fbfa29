import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EMPTY_CONFIG, loadConfig } from "./load.ts";
import { mistakes } from "./mistakes.fixture.ts";

const root = mkdtempSync(join(tmpdir(), "hatchway-config-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("mistakes are one sentence, with their place", () => {
  test.each([
    ["not TOML", "[relay\n", "t.toml:1:1: This is not TOML: "],
    [
      "not TOML, further down",
      "[relay]\nlisten = '1.2.3.4:5'\npublic = x\n",
      't.toml:3:1: This is not TOML: Strings must be quoted: "x".',
    ],
    ["a key twice", "[agent]\nname = 'a'\nname = 'b'\n", "t.toml:3:1: This is not TOML: Cannot redefine key 'name'."],
    [
      "unknown key",
      "[relay]\nlistn = 'x'",
      't.toml:2:1: "listn" is not a key that is known here. Did you mean listen?',
    ],
    [
      "other spelling",
      "[[expose]]\nports = 80\nproxy_protocol = 'v1'",
      't.toml:3:1: "proxy_protocol" is not a key that is known here. Did you mean proxy-protocol?',
    ],
    [
      "cut short",
      "[[expose]]\nports = 80\nproto = 'udp'",
      't.toml:3:1: "proto" is not a key that is known here. Did you mean protocol?',
    ],
    [
      "unknown table",
      "[expos]\nports = 1",
      't.toml:1:1: "expos" is not a key that is known here. Did you mean expose?',
    ],
    [
      "nothing like it",
      "[agent]\nzzzzzz = 1",
      't.toml:2:1: "zzzzzz" is not a key that is known here; known are name, relay, allow, managed, certificate, key, ca, data, log.',
    ],
    ["one bracket", "[expose]\nports = 80", 't.toml:1:1: "expose" must be a list, not a table.'],
    ["missing key", "[[expose]]\nto = 'db'", 't.toml:1:1: "ports" is missing.'],
    [
      "port set",
      "[[expose]]\nports = '8820, 8815-8810'",
      't.toml:2:1: "ports": Write the lower port first.\n  8820, 8815-8810\n        ^^^^^^^^^\nDid you mean 8810-8815?',
    ],
    [
      "word",
      "[[expose]]\nports = 80\nprotocol = 'tpc'",
      't.toml:3:1: "protocol" must be "tcp", "udp" or "tcp+udp", not "tpc". Did you mean "tcp"?',
    ],
    [
      "type: number",
      "[[expose]]\nports = 80\nconnections = '5'",
      't.toml:3:1: "connections" must be a number, not "5".',
    ],
    [
      "type: fraction",
      "[[expose]]\nports = 80\nconnections = 1.5",
      't.toml:3:1: "connections" must be a whole number, not 1.5.',
    ],
    ["too small", "[[expose]]\nports = 80\nconnections = 0", 't.toml:3:1: "connections" must be above 0, not 0.'],
    ["type: text", "[[expose]]\nports = 80\nidle = 90", 't.toml:3:1: "idle" must be a text in quotes, not 90.'],
    [
      "type: boolean",
      "[[expose]]\nports = 80\nenabled = 'no'",
      't.toml:3:1: "enabled" must be true or false, not "no".',
    ],
    [
      "duration",
      "[[expose]]\nports = 80\nidle = '90'",
      't.toml:3:1: "idle": "90" is not a duration: write 90s, 10m, 2h or 1d.\n  90\n  ^^\nDid you mean 90s?',
    ],
    [
      "bandwidth",
      "[[expose]]\nports = 80\nbandwidth = '10 mb/s'",
      't.toml:3:1: "bandwidth": "10 mb/s" is not a bandwidth',
    ],
    [
      "rate",
      "[[expose]]\nports = 80\nnew-per-source = '5 per second'",
      't.toml:3:1: "new-per-source": "5 per second" is not a rate: write 5/s or 300/m.',
    ],
    ["network", "[[expose]]\nports = 80\nallow = ['10.0.0.0/33']", 't.toml:3:1: "allow": The prefix length'],
    [
      "as with a mapping",
      "[[expose]]\nports = '8000:80'\nas = '90'",
      't.toml:3:1: "as": The ports say outside:inside already',
    ],
    [
      "as of another size",
      "[[expose]]\nports = '80-82'\nas = '90'",
      't.toml:3:1: "as": `as` is 1 port and the ports are 3 ports',
    ],
    ["host", "[[expose]]\nports = 80\nto = 'a_b..c'", 't.toml:3:1: "to": A host name has no empty part between dots.'],
    [
      "PROXY v1 and UDP",
      "[[expose]]\nports = '53/udp'\nproxy-protocol = 'v1'",
      't.toml:3:1: "proxy-protocol" must be "v2" when UDP',
    ],
    [
      "health check of UDP",
      "[[expose]]\nports = '53/udp'\nhealth-check = true",
      't.toml:3:1: "health-check" needs a TCP port',
    ],
    [
      "health check's key",
      "[[expose]]\nports = 80\nhealth-check = { intervall = '2s' }",
      't.toml:3:1: "intervall" is not a key that is known here. Did you mean interval?',
    ],
    [
      "health check's type",
      "[[expose]]\nports = 80\nhealth-check = 5",
      't.toml:3:1: "health-check" must be true, an interval',
    ],
    [
      "via",
      "[[forward]]\nlisten = 80\nto = 'db:80'\nvia = 'office'",
      't.toml:4:1: "via" must be "relay" or "agent:NAME"',
    ],
    [
      "target without a host",
      "[[forward]]\nlisten = 80\nto = '80'",
      't.toml:3:1: "to": Add the host before the port.\n  80\n  ^^\nDid you mean 127.0.0.1:80?',
    ],
    [
      "bare IPv6",
      "[[forward]]\nlisten = '::1:80'\nto = 'db'",
      't.toml:2:1: "listen": Put the IPv6 address in brackets.',
    ],
    [
      "mapping to listen on",
      "[[forward]]\nlisten = '8000:80'\nto = 'db'",
      't.toml:2:1: "listen": Write only the ports to listen on here',
    ],
    ["SOCKS range", "[[socks]]\nlisten = '1080-1081'", 't.toml:2:1: "listen" must be one TCP port'],
    [
      "SOCKS name alone",
      "[[socks]]\nlisten = 1080\nusername = 'ann'",
      't.toml:1:1: "password-file" is missing: a user name and a password go together.',
    ],
    [
      "name twice",
      "[[expose]]\nname = 'a'\nports = 80\n[[expose]]\nname = 'a'\nports = 81",
      't.toml:5:1: "name" is used by an entry of [[expose]] already',
    ],
    ["entry twice", "[[expose]]\nports = 80\n[[expose]]\nports = 80", 't.toml:3:1: "expose" is listed twice'],
    ["exit rule", "[agent]\nallow = ['10.0.0.0/8:99999']", 't.toml:2:1: "allow": '],
  ])("%s", async (_, text, expected) => {
    const message = await mistakes(text);
    expect(message.slice(0, expected.length)).toBe(expected);
  });

  test("each mistake has its line, in the file's order", async () => {
    const message = await mistakes("[[expose]]\nprots = 1\n[relay]\nlistn = 1\n");
    expect(message.split("\n").map((line) => line.split(" ")[0])).toEqual([
      "t.toml:1:1:",
      "t.toml:2:1:",
      "t.toml:4:1:",
    ]);
  });

  test("no file: fine unless a person named it", async () => {
    const path = join(root, "none.toml");
    expect(await loadConfig(path, false)).toBe(EMPTY_CONFIG);
    expect(loadConfig(path, true)).rejects.toThrow(`There is no config file ${path}.`);
  });
});
