import { describe, expect, test } from "bun:test";
import { blobOf, HOST_CERTIFICATE, PUBLIC_KEYS, USER_CERTIFICATE } from "../../../test/fixtures/ssh-keys.ts";
import { verifySshSignature } from "../../os/ssh-key.ts";
import { decodeSignature, decodeUserCertificate, isCertificateType } from "./certificate.ts";

const BLOB = blobOf(USER_CERTIFICATE);

describe("a user's certificate", () => {
  test("says what ssh-keygen was told, and its CA signed it", () => {
    const decoded = decodeUserCertificate(BLOB);
    if (!decoded.ok) throw new Error(decoded.error.kind);
    const { ca, signed, signature, criticalOptions, extensions, ...told } = decoded.value;
    expect(told).toMatchObject({ type: "ssh-ed25519", serial: 7n, keyId: "ada's laptop" });
    expect(told.principals).toEqual(["laptop", "owner/laptop"]);
    expect(told.validBeforeSec - told.validAfterSec).toBe(BigInt(3_652 * 86_400));
    expect([...criticalOptions.keys()]).toEqual(["source-address"]);
    expect(extensions.has("permit-port-forwarding")).toBe(true);
    expect(ca.blob).toEqual(blobOf(PUBLIC_KEYS.ca));
    expect(verifySshSignature(ca.parts, signed, signature)).toBe(true);
    const forged = Uint8Array.from(signed);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(verifySshSignature(ca.parts, forged, signature)).toBe(false);
  });

  test("cut anywhere, or with more behind it, is none", () => {
    for (let length = 0; length < BLOB.length; length++) {
      expect(decodeUserCertificate(BLOB.subarray(0, length)).ok).toBe(false);
    }
    expect(decodeUserCertificate(new Uint8Array([...BLOB, 0])).ok).toBe(false);
  });

  test.each([
    ["a host's", blobOf(HOST_CERTIFICATE), "not-user"],
    ["a plain key", blobOf(PUBLIC_KEYS.ed25519), "malformed"],
  ])("is not %s", (_, blob, kind) => {
    expect(decodeUserCertificate(blob)).toMatchObject({ ok: false, error: { kind } });
  });

  test.each([
    ["ssh-ed25519-cert-v01@openssh.com", true],
    ["ssh-ed25519", false],
  ])("%s: %p", (type, is) => {
    expect(isCertificateType(type)).toBe(is);
  });

  test("a signature is an algorithm and its bytes, and nothing else", () => {
    const bytes = Buffer.from("0000000b7373682d6564323535313900000002abcd", "hex");
    expect(decodeSignature(bytes)).toEqual({ algorithm: "ssh-ed25519", bytes: Buffer.from("abcd", "hex") });
    for (let length = 0; length < bytes.length; length++) expect(decodeSignature(bytes.subarray(0, length))).toBeNull();
  });
});
