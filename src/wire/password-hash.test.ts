import { expect, test } from "bun:test";
import { isPasswordHash } from "./password-hash.ts";

const TAIL = "$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG";
test.each([
  ["of OWASP's least", `$argon2id$v=19$m=19456,t=2,p=1${TAIL}`, true],
  ["of RFC 9106's second", `$argon2id$v=19$m=65536,t=3,p=4${TAIL}`, true],
  ["that wants 4 GiB", `$argon2id$v=19$m=4194304,t=1,p=1${TAIL}`, false],
  ["that takes minutes", `$argon2id$v=19$m=19456,t=5000,p=1${TAIL}`, false],
  ["of no passes", `$argon2id$v=19$m=19456,t=0,p=1${TAIL}`, false],
  ["of many lanes", `$argon2id$v=19$m=19456,t=2,p=64${TAIL}`, false],
  ["of another kind", `$argon2i$v=19$m=19456,t=2,p=1${TAIL}`, false],
  ["of an old version", `$argon2id$v=16$m=19456,t=2,p=1${TAIL}`, false],
  ["without a salt", "$argon2id$v=19$m=19456,t=2,p=1$$aGFzaGhhc2hoYXNoaGFzaA", false],
  ["cut short", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ", false],
  ["too long", `$argon2id$v=19$m=19456,t=2,p=1$${"a".repeat(300)}$${"a".repeat(32)}`, false],
  ["and a line more", `$argon2id$v=19$m=19456,t=2,p=1${TAIL}\n`, false],
  ["that is a password", "swordfish", false],
] as const)("a hash %s: %s is %p", (_name, text, is) => {
  expect(isPasswordHash(text)).toBe(is);
});

test("Bun's own are some", async () => {
  expect(isPasswordHash(await Bun.password.hash("x", { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 }))).toBe(
    true,
  );
});
