import { describe, expect, test } from "bun:test";
import { consoleAt, readConfig, relaySettings } from "./load.ts";
import { mistakes } from "./mistakes.fixture.ts";

describe("[acme]", () => {
  const consoleOf = async (toml: string) =>
    relaySettings(await readConfig(toml, "/etc/hatchway/hatchway.toml")).console;

  test("is for the names of the console, at Let's Encrypt, unless it says otherwise", async () => {
    const pages = '[console]\nlisten = "*:443"\nhosts = ["Console.Example.com", "192.0.2.7"]\nhsts = "180d"\n';
    expect(await consoleOf(`${pages}[acme]\naccept-terms = true\n`)).toMatchObject({
      tls: true,
      hstsSec: 15_552_000,
      acme: {
        hosts: ["console.example.com"],
        email: null,
        directory: "https://acme-v02.api.letsencrypt.org/directory",
        ca: null,
        listen: { host: "*", port: 80 },
      },
    });
    const named = '[relay]\npublic = "relay.example.com"\n[console]\nlisten = "*:443"\n[acme]\naccept-terms = true\n';
    expect((await consoleOf(named))?.acme?.hosts).toEqual(["relay.example.com"]);
    const all = `${pages}[acme]\naccept-terms = true\nhosts = ["a.lan", "a.lan"]\nemail = "a@b.example"\ndirectory = "https://ca.lan/d"\nca = "ca.pem"\nlisten = "127.0.0.1:8080"\n`;
    expect((await consoleOf(all))?.acme).toEqual({
      hosts: ["a.lan"],
      email: "a@b.example",
      directory: "https://ca.lan/d",
      ca: "/etc/hatchway/ca.pem",
      listen: { host: "127.0.0.1", port: 8_080 },
    });
    expect(await consoleOf('[console]\nlisten = "*:443"\n')).not.toHaveProperty("acme");
  });

  const good = 'accept-terms = true\nhosts = ["a.example"]';
  test.each([
    ["terms", '[acme]\nhosts = ["a.example"]', '"accept-terms" must be true: read the terms of service'],
    ["terms refused", `[acme]\naccept-terms = false\nhosts = ["a.example"]`, '"accept-terms" must be true'],
    ["an address", '[acme]\naccept-terms = true\nhosts = ["192.0.2.7"]', '"hosts" must be a name'],
    ["an IPv6 address", '[acme]\naccept-terms = true\nhosts = ["2001:db8::7"]', '"hosts" must be a name'],
    ["a name of nobody", '[acme]\naccept-terms = true\nhosts = ["attic"]', '"hosts" must be a public name with a dot'],
    ["a wildcard", '[acme]\naccept-terms = true\nhosts = ["*.example.com"]', '"hosts"'],
    ["no name", "[acme]\naccept-terms = true", '"hosts" is missing: write the names of the console'],
    ["only an address", '[acme]\naccept-terms = true\n[relay]\npublic = "192.0.2.7"', '"hosts" is missing'],
    ["plain HTTP to the CA", `[acme]\n${good}\ndirectory = "http://ca.example/"`, '"directory" must be the https URL'],
    ["no e-mail", `[acme]\n${good}\nemail = "ann"`, '"email" must be an e-mail address'],
    [
      "a certificate as well",
      `[acme]\n${good}\n[console]\nlisten = "*:443"\ncertificate = "c.pem"\nkey = "c.key"`,
      "The console has [console] certificate and [acme]: remove one of the two.",
    ],
    [
      "without TLS",
      `[acme]\n${good}\n[console]\nlisten = "*:443"\ntls = false`,
      '"acme" is for HTTPS, and [console] is plain HTTP: set tls = true there',
    ],
    [
      "on loopback",
      `[acme]\n${good}\n[console]\nlisten = "127.0.0.1:7780"`,
      '"acme" is for HTTPS, and [console] is plain HTTP: on loopback it takes tls = true',
    ],
    ["HSTS on loopback", '[console]\nlisten = "127.0.0.1:7780"\nhsts = "1d"', '"hsts" is for HTTPS'],
    ["another key", `[acme]\n${good}\nmail = "a@b.example"`, "Did you mean email?"],
  ])("%s is told", async (_name, toml, words) => {
    expect(await mistakes(toml)).toContain(words);
  });

  test("a console that the command line puts on loopback is told too", async () => {
    const config = await readConfig(`[acme]\n${good}\n`, "t.toml");
    expect(() => consoleAt(config, { host: "127.0.0.1", port: 7_780 })).toThrow('"acme" is for HTTPS');
  });
});
