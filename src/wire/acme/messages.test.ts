import { describe, expect, test } from "bun:test";
import {
  AcmeAuthorization,
  AcmeDirectory,
  AcmeOrder,
  AcmeProblem,
  challengeToken,
  decodeAcme,
  retryAfterMs,
} from "./messages.ts";

const NOW = Date.UTC(2026, 10, 28);
/** RFC 8555 section 7.4, shortened. */
const ORDER = {
  status: "valid",
  expires: "2016-01-20T14:09:07.99Z",
  identifiers: [{ type: "dns", value: "www.example.org" }],
  authorizations: ["https://example.com/acme/authz/PAniVnsZcis"],
  finalize: "https://example.com/acme/order/TOlocE8rfgo/finalize",
  certificate: "https://example.com/acme/cert/mAt3xBGaobw",
};

test("an order of the RFC", () => {
  expect(decodeAcme(AcmeOrder, JSON.stringify(ORDER))).toMatchObject({
    ok: true,
    value: { status: "valid", certificate: ORDER.certificate },
  });
});

test("an order that is cut off anywhere is refused", () => {
  const text = JSON.stringify(ORDER);
  for (let end = 0; end < text.length; end++) expect(decodeAcme(AcmeOrder, text.slice(0, end)).ok).toBe(false);
});

describe("refused", () => {
  const url = "https://ca.example/x";
  test.each<[string, Parameters<typeof decodeAcme>[0], unknown, string]>([
    ["a directory without a place for orders", AcmeDirectory, { newNonce: url, newAccount: url }, '"newOrder"'],
    ["plain HTTP", AcmeOrder, { ...ORDER, finalize: "http://ca.example/f" }, '"finalize"'],
    ["a script", AcmeOrder, { ...ORDER, certificate: "javascript:alert(1)" }, '"certificate"'],
    ["a status of another kind", AcmeOrder, { ...ORDER, status: "great" }, '"status"'],
    ["too many names", AcmeOrder, { ...ORDER, authorizations: Array(101).fill(url) }, '"authorizations"'],
    ["no object", AcmeOrder, null, "another object"],
    [
      "a token with a slash",
      AcmeAuthorization,
      {
        status: "pending",
        identifier: { type: "dns", value: "a" },
        challenges: [{ type: "http-01", url, status: "pending", token: `${"a".repeat(30)}/../x` }],
      },
      '"challenges.0.token"',
    ],
  ])("%s", (_name, schema, value, words) => {
    const decoded = decodeAcme(schema, JSON.stringify(value));
    expect(decoded).toMatchObject({ ok: false, error: expect.stringContaining(words) });
  });
});

test("a problem is taken as far as it is one", () => {
  const long = decodeAcme(AcmeProblem, JSON.stringify({ type: 7, detail: "d".repeat(10_000) }));
  expect(long).toMatchObject({ ok: true, value: { type: "about:blank", detail: "d".repeat(400) } });
});

test.each([
  ["seconds", "120", NOW + 120_000],
  ["a date", "Sun, 29 Nov 2026 00:00:00 GMT", NOW + 86_400_000],
  ["nothing", null, null],
  ["a word", "soon", null],
])("Retry-After: %s", (_name, header, atMs) => {
  expect(retryAfterMs(header, NOW)).toBe(atMs);
});

test.each([
  ["/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", true],
  ["/.well-known/acme-challenge/short", false],
  ["/.well-known/acme-challenge/", false],
  [`/.well-known/acme-challenge/${"a".repeat(257)}`, false],
  [`/.well-known/acme-challenge/${"a".repeat(30)}/`, false],
  [`/other/${"a".repeat(30)}`, false],
])("the path %s names a token: %p", (path, named) => {
  expect(challengeToken(path) !== null).toBe(named);
});
