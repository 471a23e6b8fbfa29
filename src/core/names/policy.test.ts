import { describe, expect, test } from "bun:test";
import type { SiteSpec } from "../forward.ts";
import { type SitePolicy, siteRefusal } from "./policy.ts";

const policy: SitePolicy = {
  ports: { http: 80, https: 443 },
  domains: ["*.example.org", "shop.example.net"],
  grants: [
    { account: "ann", domains: ["ann.example.org", "*.ann.example.org", "example.com"] },
    { account: "bob", domains: ["*.bob.example.org"] },
  ],
  reserved: [{ host: "relay.example.org", purpose: "the relay's own name" }],
  canEnd: (host) => !host.startsWith("*"),
};
const site = (hosts: string[], more: Partial<SiteSpec> = {}): SiteSpec => ({
  hosts,
  tls: "end",
  service: "http1",
  logins: [],
  ...more,
});

const CASES: [string, string, string | null][] = [
  ["carol", "app.example.org", null],
  ["carol", "a.b.example.org", null],
  ["carol", "shop.example.net", null],
  ["carol", "example.org", "none that this relay hands out"],
  ["carol", "www.shop.example.net", "none that this relay hands out"],
  ["carol", "relay.example.org", "the relay's own name"],
  ["carol", "ann.example.org", "belongs to another account"],
  ["carol", "x.ann.example.org", "belongs to another account"],
  ["carol", "example.com", "belongs to another account"],
  ["ann", "ann.example.org", null],
  ["ann", "x.ann.example.org", null],
  ["ann", "example.com", null],
  ["ann", "x.bob.example.org", "belongs to another account"],
  ["ann", "app.example.org", null],
];
for (const [account, host, refusal] of CASES) {
  test(`${host} for ${account}: ${refusal ?? "yes"}`, () => {
    const refused = siteRefusal(site([host]), account, policy);
    if (refusal === null) expect(refused).toBeNull();
    else expect(refused).toContain(refusal);
  });
}

describe("a wildcard", () => {
  test.each([
    ["carol", "*.example.org", "the relay's own name"],
    ["carol", "*.apps.example.org", null],
    ["bob", "*.bob.example.org", null],
    ["carol", "*.ann.example.org", "belongs to another account"],
  ])("%s %s", (account, host, refusal) => {
    const refused = siteRefusal(site([host], { tls: "off" }), account, policy);
    expect(refused ?? null).toEqual(refusal === null ? null : expect.stringContaining(refusal));
  });
});

const HOW: [string, SiteSpec, Partial<SitePolicy> | null, string][] = [
  ["no names at all", site(["app.example.org"]), null, "hands out no names"],
  ["no port for TLS", site(["app.example.org"]), { ports: { http: 80, https: null } }, "[names] https"],
  [
    "no port for HTTP",
    site(["app.example.org"], { tls: "off" }),
    { ports: { http: null, https: 443 } },
    "[names] http",
  ],
  ["no certificate", site(["app.example.org"]), { canEnd: () => false }, "no [names.acme]"],
  ["no certificate for a wildcard", site(["*.apps.example.org"]), {}, "one by one"],
  [
    "a login without a look inside",
    site(["app.example.org"], { tls: "pass", logins: [{ user: "a", hash: "$argon2id$x" }] }),
    {},
    "passed through",
  ],
  ["HTTP/2 without a look inside", site(["app.example.org"], { tls: "pass", service: "h2c" }), {}, "--http2"],
];
for (const [name, wanted, given, words] of HOW) {
  test(name, () => {
    const refused = siteRefusal(wanted, "carol", given === null ? null : { ...policy, ...given });
    expect(refused).toContain(words);
  });
}
