import { describe, expect, test } from "bun:test";
import { draftOf, emptyFields, fieldsOf, patchOf } from "../../src/console/forwards/draft.ts";
import {
  emptySite,
  openedText,
  readNames,
  type SiteFields,
  siteFaults,
  siteWords,
  urlOf,
} from "../../src/console/forwards/site-draft.ts";
import type { ForwardPatch } from "../../src/servers/api/schema.ts";
import { OFFER, shownSite } from "../fixtures/console-sites.ts";
import { aForward } from "../fixtures/console-world.ts";

const SITE = { hosts: ["app.example.org"], tls: "end", http2: false, users: ["guest"] } as const;
const forward = aForward("s", "App", "8080", { ...shownSite(SITE, "8080"), allow: ["192.0.2.0/24"] });
const before = fieldsOf(forward);
const site = before.site as SiteFields;
const login = (user: string, password: string, kept = false) => ({ user, password, kept });

test.each([
  ["App.Example.org., www.example.org app.example.org", ["app.example.org", "www.example.org"], null],
  ["*.apps.example.org", ["*.apps.example.org"], null],
  ["", [], null],
  ["app.example.org, https://x.example.org", ["app.example.org"], "Write the name of a site"],
] as const)("names: %s", (text, names, fault) => {
  const read = readNames(text);
  expect(read.names).toEqual([...names]);
  expect(read.fault ?? "").toContain(fault ?? "");
  expect(read.fault === null).toBe(fault === null);
});

test("a new one has TLS by the relay, where it has a port for it", () => {
  expect([emptySite(OFFER).tls, emptySite({ ...OFFER, https: null }).tls]).toEqual(["end", "off"]);
});

test("a draft has what is written, and not what does not go with it", () => {
  const written = { ...site, tls: "pass" as const, http2: true, logins: [login("a", "b")] };
  expect(draftOf({ ...emptyFields("d"), site: written }, "relay")).toEqual({
    device: "d",
    ports: "8080",
    host: ["app.example.org"],
    tls: "pass",
  });
  expect(draftOf({ ...before, site: { ...site, logins: [login("a", "b"), ...site.logins] } }, "relay")).toMatchObject({
    allow: ["192.0.2.0/24"],
    logins: [{ user: "a", password: "b" }],
  });
});

describe("a patch has only what changed:", () => {
  test.each<[string, Partial<SiteFields>, ForwardPatch]>([
    ["nothing", {}, {}],
    ["another spelling of the same", { names: "APP.example.org " }, {}],
    ["a name", { names: "b.example.org" }, { host: ["b.example.org"] }],
    ["the port", { port: "9090" }, { ports: "9090" }],
    ["plain HTTP", { tls: "off" }, { tls: "off" }],
    ["passed through", { tls: "pass", http2: true }, { tls: "pass", logins: [] }],
    ["HTTP/2", { http2: true }, { http2: true }],
    ["nobody", { logins: [] }, { logins: [] }],
    ["another password", { logins: [login("guest", "x", true)] }, { logins: [{ user: "guest", password: "x" }] }],
    [
      "one more",
      { logins: [...site.logins, login(" ann ", "y")] },
      { logins: [{ user: "guest" }, { user: "ann", password: "y" }] },
    ],
  ])("%s", (_what, part, patch) => {
    expect(patchOf(before, { ...before, site: { ...site, ...part } })).toEqual(patch);
  });
});

test.each<[Partial<SiteFields>, string[]]>([
  [{}, []],
  [{ names: " " }, ["host"]],
  [{ names: "localhost" }, ["host"]],
  [{ port: "" }, ["ports"]],
  [{ port: "65536" }, ["ports"]],
  [{ logins: [login("a", "")] }, ["logins"]],
  [{ logins: [login("", "x")] }, ["logins"]],
  [{ logins: [login("", "")], tls: "pass" }, []],
])("what %j lacks: %j", (part, fields) => {
  const faults = siteFaults({ ...site, ...part });
  expect(Object.keys(faults)).toEqual(fields);
  for (const fault of Object.values(faults)) expect(fault).toEndWith(".");
});

test("what visitors type", () => {
  expect(openedText(forward)).toBe("app.example.org");
  expect(openedText({ site: null, ports: "80" })).toBe("80");
  expect(siteWords({ ...SITE, http2: true })).toBe("TLS by the relay, HTTP/2, with a password");
  expect(urlOf("a.example.org", { tls: "end" }, { ...OFFER, https: 8443 })).toBe("https://a.example.org:8443");
  expect(urlOf("a.example.org", { tls: "off" }, OFFER)).toBe("http://a.example.org");
});
