import { expect, test } from "bun:test";
import { ControlError } from "../control.ts";
import { readConfig, relaySettings } from "./load.ts";

const NAMES = '[names]\nhttp = "*:80"\nhttps = "*:443"\n';
const ACME = "[names.acme]\naccept-terms = true\n";

async function mistakes(text: string): Promise<string> {
  const read = readConfig(text, "t.toml").then(
    () => new Error("the config was accepted"),
    (error: unknown) => error,
  );
  const error = await read;
  if (error instanceof ControlError && error.kind === "usage") return error.message;
  throw error;
}

const namesOf = async (text: string) => relaySettings(await readConfig(text, "/etc/hatchway/hatchway.toml")).names;

test("sites are at ports, with names and certificates, unless it says otherwise", async () => {
  expect(await namesOf(`${NAMES}${ACME}`)).toEqual({
    http: { host: "*", port: 80 },
    https: { host: "*", port: 443 },
    domains: [],
    grants: [],
    certificate: null,
    acme: {
      challenge: null,
      email: null,
      directory: "https://acme-v02.api.letsencrypt.org/directory",
      ca: null,
    },
  });
});

test.each<[string, string]>([
  ["by port 443 alone", `[names]\nhttps = "*:443"\n${ACME}`],
  ["by tls-alpn-01", `[names]\nhttps = "*:443"\n${ACME}challenge = "tls-alpn-01"\n`],
  ["by http-01", `${NAMES}${ACME}challenge = "http-01"\n`],
])("certificates can be ordered %s", async (_how, text) => {
  expect((await namesOf(text))?.acme).not.toBeNull();
});

test.each<[string, string, string]>([
  ["no port", '[names]\ndomains = ["*.example.org"]', '"names" needs http or https'],
  ["a certificate without its key", `${NAMES}certificate = "c.pem"`, '"certificate" needs the other one'],
  ["orders without https", `[names]\nhttp = "*:80"\n${ACME}`, '"acme" needs https'],
  [
    "http-01 without http",
    `[names]\nhttps = "*:443"\n${ACME}challenge = "http-01"`,
    '"challenge" is http-01, which needs http',
  ],
  ["another challenge", `${NAMES}${ACME}challenge = "dns-01"`, '"challenge" must be'],
  ["terms", `${NAMES}[names.acme]\n`, '"accept-terms" must be true: read the terms of service'],
])("%s is told", async (_name, text, words) => {
  expect(await mistakes(text)).toContain(words);
});
