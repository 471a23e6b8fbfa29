import { expect, test } from "bun:test";
import { problemText } from "./problem-text.ts";

const of = (name: string) => `urn:ietf:params:acme:error:${name}`;

test.each<[string, string, string, string]>([
  ["a name alone", of("caa"), "", "caa"],
  ["a sentence", of("dns"), "NXDOMAIN looking up A for a.example", "dns: NXDOMAIN looking up A for a.example"],
  ["its dot goes", of("dns"), "No such name.", "dns: No such name"],
  [
    "the first of several, with addresses and URLs in it",
    of("connection"),
    "203.0.113.7: Fetching http://a.example/.well-known/x: Timeout. See https://ca.example/docs for help.",
    "connection: 203.0.113.7: Fetching http://a.example/.well-known/x: Timeout",
  ],
  ["lines and escape codes", of("tls"), "one\r\n\ttwo\u001b[31m\u202ethree", "tls: one two [31m three"],
  ["what has no end", of("tls"), "x".repeat(400), `tls: ${"x".repeat(200)}…`],
  ["another kind of problem", "about:blank", "no", "about:blank: no"],
])("%s", (_name, type, detail, text) => {
  expect(problemText({ type, detail })).toBe(text);
});
