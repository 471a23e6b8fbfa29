import { describe, expect, test } from "bun:test";
import { sshKeyCalled } from "./named.ts";

const KEYS = [
  { fingerprint: "SHA256:one", comment: "ada@laptop" },
  // Anybody may write any comment.
  { fingerprint: "SHA256:two", comment: "SHA256:one" },
  { fingerprint: "SHA256:three", comment: "same" },
  { fingerprint: "SHA256:four", comment: "same" },
];

describe("an SSH key is called by", () => {
  test.each([
    ["its fingerprint, whatever others are commented with", "SHA256:one", "SHA256:one"],
    ["its comment", "ada@laptop", "SHA256:one"],
  ])("%s", (_, named, fingerprint) => {
    expect(sshKeyCalled(named, KEYS).fingerprint).toBe(fingerprint);
  });

  test.each([
    ["nothing that is there", "nobody", 'There is no SSH key "nobody"'],
    ["what several are commented with", "same", '2 SSH keys are called "same": give the fingerprint'],
  ])("and not by %s", (_, named, message) => {
    expect(() => sshKeyCalled(named, KEYS)).toThrow(message);
  });
});
