import { expect, test } from "bun:test";
import { gatewaySettings } from "./gateway.ts";
import { EMPTY_CONFIG, readConfig, relaySettings } from "./load.ts";

const settingsOf = async (text: string) => relaySettings(await readConfig(text, "/etc/hatchway/t.toml")).metrics;

test.each([
  ["the table alone", "[metrics]\n", { listen: { host: "127.0.0.1", port: 9_464 }, tokenFile: null }],
  ["a port alone", '[metrics]\nlisten = "9000"\n', { listen: { host: "127.0.0.1", port: 9_000 }, tokenFile: null }],
  ["IPv6's own", '[metrics]\nlisten = "[::1]:9000"\n', { listen: { host: "::1", port: 9_000 }, tokenFile: null }],
  [
    "for others, with a token beside the file",
    '[metrics]\nlisten = "*:9000"\ntoken-file = "t"\n',
    { listen: { host: "*", port: 9_000 }, tokenFile: "/etc/hatchway/t" },
  ],
  ["none", "", null],
])("[metrics]: %s", async (_what, text, expected) => {
  expect(await settingsOf(text)).toEqual(expected);
});

test.each([
  ["every address", '[metrics]\nlisten = "*:9464"\n'],
  ["an address of a network", '[metrics]\nlisten = "192.168.1.2:9464"\n'],
  ["a name", '[metrics]\nlisten = "relay.example.com:9464"\n'],
])("%s needs a token", async (_what, text) => {
  await expect(settingsOf(text)).rejects.toThrow(
    '/etc/hatchway/t.toml:2:1: "listen" needs token-file: other machines reach it, so they must show a token.',
  );
});

test("a gateway has the same", async () => {
  const { file } = await readConfig('[metrics]\ntoken-file = "t"\n', "t.toml");
  expect(gatewaySettings(file, (path) => `/there/${path}`).metrics).toEqual({
    listen: { host: "127.0.0.1", port: 9_464 },
    tokenFile: "/there/t",
  });
  expect(relaySettings(EMPTY_CONFIG).metrics).toBeNull();
});
