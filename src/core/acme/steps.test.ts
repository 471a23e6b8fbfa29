import { expect, test } from "bun:test";
import type { AcmeAuthorization, AcmeOrder } from "../../wire/acme/messages.ts";
import { authorizationStep, orderStep } from "./steps.ts";

const order = (status: AcmeOrder["status"], more: Partial<AcmeOrder> = {}): AcmeOrder => ({
  status,
  authorizations: [],
  finalize: "https://ca.example/finalize",
  ...more,
});
const type = "urn:ietf:params:acme:error:caa";

test.each<[string, AcmeOrder, object]>([
  ["pending", order("pending"), { kind: "authorize" }],
  ["ready", order("ready"), { kind: "finalize" }],
  ["processing", order("processing"), { kind: "wait" }],
  ["valid", order("valid", { certificate: "https://ca.example/c" }), { kind: "download", url: "https://ca.example/c" }],
  [
    "valid without a certificate",
    order("valid"),
    { kind: "failed", message: expect.stringContaining("not say where") },
  ],
  ["invalid", order("invalid"), { kind: "failed", message: expect.stringContaining("its time was over") }],
  [
    "invalid with a reason",
    order("invalid", { error: { type, detail: "no" } }),
    { kind: "failed", message: expect.stringContaining("(caa: no)") },
  ],
])("an order that is %s", (_name, given, step) => {
  expect(orderStep(given)).toMatchObject(step);
});

const http = { type: "http-01", url: "https://ca.example/chall", status: "pending", token: "t".repeat(43) };
const authorization = (
  status: AcmeAuthorization["status"],
  challenges: AcmeAuthorization["challenges"] = [http],
): AcmeAuthorization => ({ status, identifier: { value: "a.example" }, challenges });

const tls = { ...http, type: "tls-alpn-01", url: "https://ca.example/tls" };
const [byHttp, byTls] = ["http-01", "tls-alpn-01"] as const;

test.each<[string, AcmeAuthorization, boolean, object]>([
  ["proven", authorization("valid"), false, { kind: "done" }],
  ["pending", authorization("pending"), false, { kind: "respond", token: http.token, url: http.url }],
  ["pending, and answered", authorization("pending"), true, { kind: "wait" }],
  [
    "pending without a way",
    authorization("pending", [{ ...http, type: "dns-01" }]),
    false,
    { kind: "failed", message: expect.stringContaining("no http-01 or tls-alpn-01 challenge for a.example") },
  ],
  [
    "invalid",
    authorization("invalid", [{ ...http, error: { type: "urn:ietf:params:acme:error:dns", detail: "NXDOMAIN" } }]),
    true,
    { kind: "failed", message: expect.stringContaining("a.example could not be proven (dns: NXDOMAIN)") },
  ],
  [
    "invalid by TLS",
    authorization("invalid", [http, { ...tls, error: { type: "urn:ietf:params:acme:error:tls", detail: "no" } }]),
    true,
    { kind: "failed", message: expect.stringContaining("(tls: no): let port 443") },
  ],
  ["expired", authorization("expired"), true, { kind: "failed", message: expect.stringContaining("is expired") }],
])("a name that is %s", (_name, given, responded, step) => {
  expect(authorizationStep(given, responded, [byHttp, byTls])).toMatchObject(step);
});

test.each<[string, ReadonlyArray<typeof byHttp | typeof byTls>, AcmeAuthorization["challenges"], string]>([
  ["the first way", [byTls, byHttp], [http, tls], tls.url],
  ["the other way, where the first is not offered", [byTls, byHttp], [http], http.url],
  ["the one way", [byHttp], [tls, http], http.url],
])("goes %s", (_name, ways, challenges, url) => {
  expect(authorizationStep(authorization("pending", challenges), false, ways)).toMatchObject({ kind: "respond", url });
});
