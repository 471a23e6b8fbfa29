import { expect, test } from "bun:test";
import { certificateTrouble, MAX_TROUBLE_BYTES, type SiteCertificate } from "./certificates.ts";

const AT_MS = Date.UTC(2026, 10, 29, 5, 0);
const there: SiteCertificate = { kind: "there" };
const ordered: SiteCertificate = { kind: "ordered" };
const failed = (message: string, retryAtMs: number | null = AT_MS): SiteCertificate => ({
  kind: "failed",
  message,
  retryAtMs,
});
const troubleOf = (...certificates: readonly SiteCertificate[]) => {
  const named = new Map(certificates.map((certificate, at) => [`${"abc"[at]}.example.org`, certificate]));
  return certificateTrouble([...named.keys()], (host) => named.get(host) ?? there);
};

test.each<[string, readonly SiteCertificate[], object | null]>([
  ["all are there", [there, there], null],
  [
    "one is ordered",
    [there, ordered],
    { state: "waiting", message: "The certificate for b.example.org is being ordered: wait a minute." },
  ],
  [
    "one failed, behind one that is ordered",
    [ordered, failed("b.example.org could not be proven (dns: no): let port 80 lead here.")],
    {
      state: "refused",
      message:
        "b.example.org could not be proven (dns: no): let port 80 lead here; the next try is at 2026-11-29T05:00:00.000Z.",
    },
  ],
  ["nothing tries again", [failed("It is full.", null)], { state: "refused", message: "It is full." }],
])("%s", (_name, certificates, trouble) => {
  expect(troubleOf(...certificates)).toEqual(trouble as never);
});

test.each(["x", "ä", "😀"])("a message of many %s is bounded, with the time in it", (letter) => {
  for (const retryAtMs of [AT_MS, null]) {
    const { message = "" } = troubleOf(failed(letter.repeat(1_000), retryAtMs)) ?? {};
    const { length } = new TextEncoder().encode(message);
    expect(length).toBeLessThanOrEqual(MAX_TROUBLE_BYTES);
    expect(length).toBeGreaterThan(MAX_TROUBLE_BYTES - 4);
    expect(message).toEndWith(retryAtMs === null ? "…" : "…; the next try is at 2026-11-29T05:00:00.000Z.");
    expect(message).not.toContain("\ufffd");
  }
});
