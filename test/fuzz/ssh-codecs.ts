import { decodeSignature, decodeUserCertificate } from "../../src/wire/ssh/certificate.ts";
import { encodeStrings } from "../../src/wire/ssh/fields.ts";
import { decodeKey, formatKey, keyProblem, parseKeyText } from "../../src/wire/ssh/public-key.ts";
import { blobOf, HOST_CERTIFICATE, PUBLIC_KEYS, USER_CERTIFICATE } from "../fixtures/ssh-keys.ts";
import { type FuzzCodec, must, mustBeResult, mustEqual, text } from "./codec.ts";

const BLOBS = [...Object.values(PUBLIC_KEYS), USER_CERTIFICATE, HOST_CERTIFICATE].map(blobOf);

export const ssh: readonly FuzzCodec[] = [
  {
    name: "ssh-key",
    seeds: BLOBS,
    check(input) {
      const decoded = decodeKey(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const again = parseKeyText(formatKey(decoded.value));
      must(again.ok, "a decoded key is written as a key");
      mustEqual(again.value.key, decoded.value, "reading what was written");
      return true;
    },
  },
  {
    name: "ssh-key-text",
    seeds: text(...Object.values(PUBLIC_KEYS), USER_CERTIFICATE),
    check(input) {
      const parsed = parseKeyText(Buffer.from(input).toString("utf8"));
      if (!parsed.ok) must(keyProblem(parsed.error).endsWith("."), "an error is a sentence");
      return parsed.ok;
    },
  },
  {
    name: "ssh-certificate",
    seeds: BLOBS,
    check(input) {
      const decoded = decodeUserCertificate(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const { signed, signature } = decoded.value;
      const trailer = encodeStrings([encodeStrings([signature.algorithm, signature.bytes])]);
      mustEqual(new Uint8Array([...signed, ...trailer]), input, "what was signed, and its signature, are all of it");
      mustEqual(decodeSignature(trailer.subarray(4)), signature, "the signature as it was read");
      return true;
    },
  },
];
