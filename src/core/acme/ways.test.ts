import { expect, test } from "bun:test";
import type { ChallengeType } from "../../wire/acme/messages.ts";
import { type ProofPorts, proofWays, waysOfTry } from "./ways.ts";

const HTTP = "http-01";
const TLS = "tls-alpn-01";

test.each<[string, ChallengeType | null, ProofPorts, readonly ChallengeType[]]>([
  ["both ports", null, { http: 80, https: 443 }, [HTTP, TLS]],
  ["TLS alone", null, { http: null, https: 443 }, [TLS]],
  ["HTTP alone", null, { http: 80, https: null }, [HTTP]],
  ["HTTP at another port", null, { http: 8080, https: 443 }, [TLS, HTTP]],
  ["both at others", null, { http: 8080, https: 8443 }, [HTTP, TLS]],
  ["chosen", TLS, { http: 80, https: 443 }, [TLS]],
])("ways with %s", (_name, chosen, ports, ways) => {
  expect(proofWays(chosen, ports)).toEqual([...ways]);
});

test.each<[number, readonly ChallengeType[]]>([
  [0, [HTTP, TLS]],
  [1, [TLS, HTTP]],
  [2, [HTTP, TLS]],
])("after %d failures", (failures, ways) => {
  expect(waysOfTry([HTTP, TLS], failures)).toEqual([...ways]);
  expect(waysOfTry([TLS], failures)).toEqual([TLS]);
  expect(waysOfTry([], failures)).toEqual([]);
});
