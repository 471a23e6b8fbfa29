import { decodeRelease, encodeRelease } from "../../src/wire/release.ts";
import {
  decodeSshEd25519Key,
  decodeSshSignature,
  encodeSshEd25519Key,
  encodeSshSignature,
} from "../../src/wire/ssh-signature.ts";
import { type FuzzCodec, mustBeResult, mustEqual, text } from "./codec.ts";

const FILE = { bytes: 1, sha256: "0a".repeat(32) };
const decoder = new TextDecoder();

export const release: readonly FuzzCodec[] = [
  {
    name: "release-manifest",
    seeds: text(
      encodeRelease({
        v: 1,
        name: "hatchway",
        version: "0.1.0",
        bun: "1.4.5",
        files: [{ ...FILE, name: "hatchway-0.1.0-linux-x64", target: "linux-x64" }],
        sbom: { ...FILE, name: "hatchway-0.1.0.cdx.json" },
      }),
    ),
    check(input) {
      const decoded = decodeRelease(decoder.decode(input));
      mustBeResult(decoded);
      if (decoded.ok) mustEqual(decodeRelease(encodeRelease(decoded.value)), decoded, "decoding what was encoded");
      return decoded.ok;
    },
  },
  {
    name: "ssh-signature",
    seeds: text(
      encodeSshSignature({
        publicKey: new Uint8Array(32).fill(3),
        namespace: "hatchway-release",
        hash: "sha512",
        signature: new Uint8Array(64).fill(5),
      }),
    ),
    check(input) {
      const decoded = decodeSshSignature(decoder.decode(input));
      mustBeResult(decoded);
      if (decoded.ok)
        mustEqual(decodeSshSignature(encodeSshSignature(decoded.value)), decoded, "decoding what was encoded");
      return decoded.ok;
    },
  },
  {
    name: "ssh-public-key",
    seeds: text(encodeSshEd25519Key(new Uint8Array(32).fill(3))),
    check(input) {
      const key = decodeSshEd25519Key(decoder.decode(input));
      if (key !== null) mustEqual(decodeSshEd25519Key(encodeSshEd25519Key(key)), key, "decoding what was encoded");
      return key !== null;
    },
  },
];
