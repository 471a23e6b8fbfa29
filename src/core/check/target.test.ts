import { describe, expect, test } from "bun:test";
import { parseCheckTarget } from "./target.ts";

const at = (port: number, protocol: "tcp" | "udp" | null = null, host: string | null = null) => ({
  kind: "port",
  host,
  port,
  protocol,
});

describe("what a person asks to have checked", () => {
  const table: readonly (readonly [text: string, target: object])[] = [
    ["25565", at(25_565)],
    [":80", at(80)],
    ["19132/udp", at(19_132, "udp")],
    ["443/TCP", at(443, "tcp")],
    ["home.Example:25565", at(25_565, null, "home.example")],
    ["192.0.2.7:53/udp", at(53, "udp", "192.0.2.7")],
    ["[2001:DB8::7]:80/tcp", at(80, "tcp", "2001:db8::7")],
    ["*:80", at(80)],
    ["minecraft", { kind: "name", name: "minecraft" }],
    ["my web site", { kind: "name", name: "my web site" }],
  ];
  for (const [text, target] of table) {
    test(text, () => expect(parseCheckTarget(text)).toEqual({ ok: true, value: target } as never));
  }

  const refused: readonly (readonly [text: string, message: RegExp])[] = [
    ["0", /1 to 65535/],
    ["70000/udp", /1 to 65535/],
    ["80/icmp", /tcp or udp/],
    ["80/", /tcp or udp/],
    ["host/udp", /port/],
    ["2001:db8::7", /brackets/],
    ["home.example:", /port/],
    ["", /Write/],
    [" ", /Write/],
  ];
  for (const [text, message] of refused) {
    test(`${JSON.stringify(text)} is refused`, () => {
      const parsed = parseCheckTarget(text);
      expect(parsed.ok ? "taken" : parsed.error.message).toMatch(message);
    });
  }
});
