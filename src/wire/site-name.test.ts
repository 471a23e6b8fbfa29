import { describe, expect, test } from "bun:test";
import { domainCovers, parseSitePattern, siteNameOf, siteOfAuthority, wildcardOf } from "./site-name.ts";

const label63 = "a".repeat(63);
const NAMES: [string, string | null][] = [
  ["app.example.org", "app.example.org"],
  ["APP.Example.ORG", "app.example.org"],
  ["app.example.org.", "app.example.org"],
  ["app.example.org..", null],
  [".example.org", null],
  ["a..org", null],
  ["localhost", null],
  ["", null],
  [".", null],
  ["192.0.2.1", null],
  ["a.1", null],
  ["a.0x7f", null],
  ["[2001:db8::1]", null],
  ["-a.org", null],
  ["a-.org", null],
  ["a_b.org", null],
  ["a b.org", null],
  ["bücher.example", null],
  ["xn--bcher-kva.example", "xn--bcher-kva.example"],
  // KELVIN SIGN: its lower case is the letter k.
  ["\u212Aen.org", null],
  ["a.org\u0000", null],
  ["a.org\n", null],
  [`${label63}.org`, `${label63}.org`],
  [`${label63}a.org`, null],
  [`${`${label63}.`.repeat(4)}org`, null],
];
describe("a site's name", () => {
  for (const [text, name] of NAMES) {
    test(`${JSON.stringify(text).slice(0, 40)} → ${String(name).slice(0, 40)}`, () => {
      expect(siteNameOf(text)).toBe(name);
    });
  }
});

const AUTHORITIES: [string, string | null][] = [
  ["app.example.org:443", "app.example.org"],
  ["APP.example.org.:8443", "app.example.org"],
  ["app.example.org:", "app.example.org"],
  ["app.example.org:x", null],
  ["app.example.org:65536", null],
  ["app.example.org:000080", null],
  ["user@app.example.org", null],
  ["user:1@app.example.org", null],
  ["app.example.org:80:80", null],
  ["app.example.org, evil.example.org", null],
  ["app.example.org/", null],
  ["[2001:db8::1]:80", null],
  [" app.example.org", null],
];
for (const [text, name] of AUTHORITIES) {
  test(`the site of ${JSON.stringify(text)} is ${name}`, () => {
    expect(siteOfAuthority(text)).toBe(name);
  });
}

test("what a person asks for", () => {
  expect(parseSitePattern("*.Example.org")).toEqual({ ok: true, value: "*.example.org" });
  expect(parseSitePattern("App.example.org.")).toEqual({ ok: true, value: "app.example.org" });
  for (const wrong of ["*", "*.org", "*.*.example.org", "a.*.org", "app", "https://app.example.org"]) {
    expect([wrong, parseSitePattern(wrong).ok]).toEqual([wrong, false]);
  }
  expect(wildcardOf("app.example.org")).toBe("*.example.org");
});

const COVERS: [string, string, boolean][] = [
  ["*.example.org", "app.example.org", true],
  ["*.example.org", "a.b.example.org", true],
  ["*.example.org", "*.b.example.org", true],
  ["*.example.org", "*.example.org", true],
  ["*.example.org", "example.org", false],
  ["*.example.org", "badexample.org", false],
  ["*.example.org", "*.org", false],
  ["app.example.org", "app.example.org", true],
  ["app.example.org", "a.app.example.org", false],
  ["app.example.org", "*.example.org", false],
];
for (const [domain, pattern, covers] of COVERS) {
  test(`${domain} ${covers ? "covers" : "does not cover"} ${pattern}`, () => {
    expect(domainCovers(domain, pattern)).toBe(covers);
  });
}
