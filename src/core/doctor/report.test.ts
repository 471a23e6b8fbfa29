import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { failure } from "./model.ts";
import type { Known } from "./redact/text.ts";
import { type RawReport, redactReport, reportText } from "./report.ts";

const RAW: RawReport = {
  madeMs: 0,
  program: { version: "0.1.0" },
  system: { name: "Debian" },
  findings: [],
  files: [{ name: "agent.json", bytes: 3, mode: "600" }],
  relay: null,
  agent: null,
  gateway: null,
  forwards: [],
  devices: [],
  config: null,
  router: null,
  events: [],
  log: [],
};
const NOTHING: Known = { secrets: [], names: [] };
const shown = (more: Partial<RawReport>, known = NOTHING) => redactReport({ ...RAW, ...more }, known).sections;

describe("a config file", () => {
  test.each([
    [
      "what is known to be harmless stays",
      { expose: [{ ports: "8810-8815, 80", protocol: "tcp", enabled: true, idle: "90s" }] },
      { expose: [{ ports: "8810-8815, 80", protocol: "tcp", enabled: true, idle: "90s" }] },
    ],
    [
      "hosts, one label too",
      { relay: { public: "r.example.net", listen: "0.0.0.0:7744" }, forward: [{ to: "db:5432", listen: 5432 }] },
      { relay: { public: "host-1", listen: "0.0.0.0:7744" }, forward: [{ to: "host-2:5432", listen: 5432 }] },
    ],
    [
      "names",
      { expose: [{ name: "annas", group: "annas" }], forward: [{ via: "agent:keller" }] },
      { expose: [{ name: "name-1", group: "name-1" }], forward: [{ via: "agent:device-1" }] },
    ],
    [
      "files",
      { socks: [{ "password-file": "/home/ann/pw", username: "ann" }] },
      { socks: [{ "password-file": "(file)", username: "(hidden)" }] },
    ],
    [
      "hooks",
      { hook: [{ url: "https://x/T0KEN", run: ["/bin/x", "--token", "T0KEN"], timeout: "5s" }] },
      { hook: [{ url: "(hidden)", run: "(3 words)", timeout: "5s" }] },
    ],
    [
      "a key that there is not",
      { expose: [{ pasword: "hunter2", ports: 80 }] },
      { expose: [{ "(hidden)": "(hidden)", ports: 80 }] },
    ],
    ["a table that there is not", { hunter2: { x: 1 } }, { "(hidden)": "(hidden)" }],
    [
      "networks and rules",
      {
        expose: [{ allow: ["9.9.9.0/24", "10.0.0.0/8"] }],
        agent: { allow: ["nas:22", "10.0.0.0/8:22"] },
        upnp: { rules: ["allow 1024-65535 192.168.1.0/24 1024-65535"] },
      },
      {
        expose: [{ allow: ["address-1/24", "10.0.0.0/8"] }],
        agent: { allow: ["host-1:22", "10.0.0.0/8:22"] },
        upnp: { rules: ["allow 1024-65535 192.168.1.0/24 1024-65535"] },
      },
    ],
    [
      "a sentence under a harmless key",
      { expose: [{ ports: "my password is hunter2!" }] },
      { expose: [{ ports: "(hidden)" }] },
    ],
  ] as const)("%s", (_name, config, expected) => {
    expect(shown({ config })["config"]).toEqual(expected);
  });

  test("a mistake is told without what it quotes", () => {
    const findings = [
      {
        id: "config",
        section: "data",
        ...failure('/c.toml:2:1: "hunter2" must be "tcp", not `hunter3`.', "Run `hatchway config validate`."),
      } as const,
    ];
    const text = JSON.stringify(shown({ findings })["checks"]);
    expect(text).not.toContain("hunter");
    expect(text).toContain("2:1");
    expect(text).toContain("`hatchway config validate`");
  });
});

test("of a status: names by their kind, hosts, ids and fingerprints; numbers and states stay", () => {
  const agent = {
    role: "agent",
    name: "keller",
    deviceId: "ab12",
    relay: "r.example:7744",
    link: "up",
    rttMs: 3,
    message: null,
  };
  const relay = { role: "relay", publicHost: "r.example", listen: "0.0.0.0:7744", fingerprint: "ff".repeat(32) };
  const forwards = [
    {
      id: "expose/web",
      name: "web",
      via: "agent:keller",
      endpoints: [{ host: "9.9.9.9", port: 80, internalHost: "nas" }],
    },
  ];
  const router = {
    identity: { model: "FRITZ!Box", name: "Annas Box", page: "http://192.168.1.1" },
    seen: { v4: "9.9.9.9" },
  };
  expect(shown({ agent, relay, forwards, router })).toMatchObject({
    agent: { name: "device-1", deviceId: "id-1", relay: "host-1:7744", link: "up", rttMs: 3, message: null },
    relay: { publicHost: "host-1", listen: "0.0.0.0:7744", fingerprint: "key-1" },
    forwards: [
      {
        id: "id-2",
        name: "forward-1",
        via: "agent:device-1",
        endpoints: [{ host: "address-1", port: 80, internalHost: "host-2" }],
      },
    ],
    router: { identity: { model: "FRITZ!Box", name: "(hidden)", page: "(hidden)" }, seen: { v4: "address-1" } },
  });
});

test("for people: a heading for each section, and each check with what to do", () => {
  const findings = [{ id: "clock", section: "machine", ...failure("It is late.", "one\ntwo") } as const];
  const text = reportText(redactReport({ ...RAW, findings, log: ["a", "b"] }, NOTHING));
  expect(text).toContain("== checks\nfailure  machine/clock: It is late.\n           → one\n           → two\n");
  expect(text).toContain("== log\na\nb\n");
  expect(text).toContain("== router\n(none)\n");
});

/** Words that stand in no text of ours. */
const word = fc.stringMatching(/^[qxzj][a-z]{7,11}[qxz]$/);
const token = fc.stringMatching(/^[A-Za-z0-9]{20,30}[0-9][A-Za-z]$/);
const publicV4 = fc
  .tuple(
    fc.integer({ min: 11, max: 99 }),
    fc.integer({ min: 64, max: 99 }),
    fc.nat(255),
    fc.integer({ min: 1, max: 254 }),
  )
  .map((octets) => octets.join("."));
const publicV6 = fc
  .array(fc.integer({ min: 0x1000, max: 0xffff }), { minLength: 7, maxLength: 7 })
  .map((words) => `2a00:${words.map((one) => one.toString(16)).join(":")}`);
const base32 = fc.stringMatching(/^[a-z2-7]{40,60}$/);
const seed = fc.record({
  password: fc.string({ minLength: 6, maxLength: 40 }).filter((text) => text.trim().length >= 6),
  user: word,
  device: word,
  forward: word,
  group: word,
  host: word,
  domain: word.map((name) => `${name}.example.net`),
  v4: publicV4,
  v6: publicV6,
  join: base32.map((text) => `hatchway1-${text}`),
  key: token,
  hook: token,
  slip: word,
});
type Seed = typeof seed extends fc.Arbitrary<infer T> ? T : never;

/** A machine with these in every place where such a thing may stand. */
function rawOf(it: Seed): RawReport {
  const pem = `-----BEGIN PRIVATE KEY-----\n${it.key}\n-----END PRIVATE KEY-----`;
  const sentence = `"${it.forward}" leads to ${it.host}:80 at ${it.domain}, seen from ${it.v4} and [${it.v6}]:443 by ${it.device}`;
  return {
    ...RAW,
    findings: [
      {
        id: `forward:${it.forward}`,
        section: "forwards",
        ...failure(sentence, `chmod 600 /home/${it.user}/${it.forward}.pem`),
      },
      { id: "config", section: "data", ...failure(`/etc/hatchway.toml:1:1: "${it.slip}" is not a key.`, null) },
    ],
    files: [{ name: `${it.user}-notes`, bytes: 1, mode: "600" }],
    agent: { name: it.device, deviceId: it.key, relay: `${it.domain}:7744`, message: sentence },
    relay: { publicHost: it.domain, fingerprint: it.key, listen: `${it.v4}:7744` },
    gateway: {
      externalAddress: it.v4,
      warnings: [`Its address ${it.v4} is odd.`],
      vpn: { endpointHost: it.host, privateKey: it.key },
    },
    forwards: [
      {
        id: `expose/${it.forward}`,
        name: it.forward,
        group: it.group,
        device: it.device,
        via: `agent:${it.device}`,
        endpoints: [{ host: it.v6, internalHost: it.host }],
      },
    ],
    devices: [{ name: it.device, address: `[${it.v6}]:5000`, account: it.group }],
    config: {
      agent: { relay: it.domain, name: it.device, [it.slip]: it.password },
      socks: [{ username: it.user, "password-file": it.password, password: it.password }],
      hook: [{ url: `https://${it.domain}/${it.hook}`, run: ["curl", it.hook], "key-file": it.key }],
      expose: [{ name: it.forward, group: it.group, to: it.host, allow: [`${it.v4}/32`], ports: 25_565 }],
      forward: [{ via: `agent:${it.device}`, to: `${it.domain}:80` }],
      [it.slip]: it.password,
    },
    events: [
      {
        event: "opened",
        id: it.key,
        forward: {
          name: it.forward,
          owner: { kind: "device", name: it.device },
          externalHosts: [it.domain, it.host, it.v6],
          to: it.host,
        },
      },
    ],
    router: {
      identity: { model: "m", name: it.user, page: `http://${it.domain}/` },
      externalAddress: it.v4,
      seen: { v6: it.v6 },
    },
    log: [
      `2026-11-28T18:00:00.000Z info relay: a device connected device=${it.device} address=${it.v4}:5000`,
      `joined with ${it.join} by ${it.user}; ${pem}`,
      `POST https://u:${it.hook}@${it.domain}/${it.hook}?t=${it.hook} failed`,
      `it said ${it.password}`,
      `WG ${it.key}= ${it.v6}`,
    ],
  };
}

test("no secret, no public address and no name of a seeded machine is ever shown", () => {
  fc.assert(
    fc.property(seed, (it) => {
      const kinds = { device: it.device, forward: it.forward, host: it.host, name: it.group } as const;
      const names = Object.entries(kinds).map(([kind, text]) => ({ kind: kind as keyof typeof kinds, text }));
      const known: Known = { secrets: [it.password], names: [...names, { kind: "name", text: it.user }] };
      const report = redactReport(rawOf(it), known);
      const outputs = [JSON.stringify(report), reportText(report)];
      for (const output of outputs) {
        for (const value of [
          it.user,
          it.device,
          it.forward,
          it.group,
          it.host,
          it.domain,
          it.v4,
          it.v6,
          it.join,
          it.key,
          it.hook,
          it.slip,
        ]) {
          expect(output.toLowerCase()).not.toContain(value.toLowerCase());
        }
      }
      // A password may be a word of ours ("status"), and is then no news: the lines that held it are looked at.
      const last = (report.sections["log"] as string[])[3];
      expect(last).toBe("it said (secret)");
      expect(JSON.stringify(report.sections["config"])).not.toContain(JSON.stringify(it.password).slice(1, -1));
    }),
    { numRuns: 300, seed: 20_261_128 },
  );
});
