import { expect, test } from "bun:test";
import { readConfig, relaySettings } from "./load.ts";
import { mistakes } from "./mistakes.fixture.ts";

const NAMES = '[names]\nhttp = "*:80"\nhttps = "*:443"\n';
const ACME = "[names.acme]\naccept-terms = true\n";

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

const CONSOLE = '[console]\nlisten = "*:7780"\nhosts = ["console.example.com"]\n[acme]\naccept-terms = true\n';

test.each<[string, string, string]>([
  ["where sites are", NAMES, "*:80"],
  ["at the address of sites", '[names]\nhttp = "192.0.2.7:80"\n', "192.0.2.7:80"],
  ["at port 80, with sites elsewhere", '[names]\nhttp = "*:8080"\n', "*:80"],
  ["at port 80, with sites by TLS alone", '[names]\nhttps = "*:443"\n', "*:80"],
  ["as it says", `listen = "*:81"\n${NAMES}`, "*:81"],
  ["where sites are, when it says so", `listen = "*:80"\n${NAMES}`, "*:80"],
  ["beside sites", 'listen = "192.0.2.8:80"\n[names]\nhttp = "192.0.2.7:80"\n', "192.0.2.8:80"],
])("the console's names are proven %s", async (_where, names, place) => {
  const { console: pages } = relaySettings(await readConfig(`${CONSOLE}${names}`, "t.toml"));
  const { host = "", port = 0 } = pages?.acme?.listen ?? {};
  expect(`${host}:${port}`).toBe(place);
});

test.each<[string, string, string]>([
  [
    "[acme] in the way",
    `${CONSOLE}listen = "127.0.0.1:80"\n${NAMES}`,
    '"http" has the port of [acme] listen (80) at another address',
  ],
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
