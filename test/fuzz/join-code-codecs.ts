import { encodeBase32 } from "../../src/wire/base32.ts";
import { crc32 } from "../../src/wire/crc32.ts";
import { type DeviceIdentity, decodeDeviceIdentity, encodeDeviceIdentity } from "../../src/wire/device-identity.ts";
import { decodeJoinCode, encodeJoinCode, type JoinCode } from "../../src/wire/join-code.ts";
import { type FuzzCodec, hex, must, mustBeResult, mustEqual, text } from "./codec.ts";

const SAMPLES: readonly JoinCode[] = [
  {
    relay: { host: "relay.example.net", port: 7744 },
    secret: new Uint8Array(16).fill(7),
    trust: "pinned",
    fingerprint: new Uint8Array(32).fill(9),
  },
  { relay: { host: "2001:db8::7", port: 1 }, secret: new Uint8Array(32), trust: "public-ca", fingerprint: null },
];

function encoded(code: JoinCode): string {
  const result = encodeJoinCode(code);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** What a code says between its length and its checksum. */
function sealed(body: Uint8Array): string {
  const bytes = new Uint8Array(2 + body.length + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.length);
  bytes.set(body, 2);
  view.setUint32(2 + body.length, crc32(bytes.subarray(0, 2 + body.length)));
  return `hatchway1-${encodeBase32(bytes)}`;
}

function check(written: string): boolean {
  const decoded = decodeJoinCode(written);
  mustBeResult(decoded);
  if (!decoded.ok) return false;
  const again = decodeJoinCode(encoded(decoded.value));
  must(again.ok, "a decoded code encodes to a code");
  mustEqual(again.value, decoded.value, "decoding what was encoded");
  return true;
}

export const joinCode: readonly FuzzCodec[] = [
  {
    name: "join-code",
    seeds: text(...SAMPLES.map(encoded)),
    check: (input) => check(Buffer.from(input).toString("latin1")),
  },
  {
    // A mutation hardly ever has the right checksum: here it gets one, so that what lies behind is reached.
    name: "join-code-body",
    seeds: hex(
      "02 1e40 03 6e6173 0909090909090909090909090909090909090909090909090909090909090909 07070707070707070707070707070707",
      "01 1e40 11 72656c61792e6578616d706c652e6e6574 07070707070707070707070707070707",
    ),
    check: (input) => check(sealed(input)),
  },
];

const IDENTITY: DeviceIdentity = {
  relay: { host: "relay.example.net", port: 7744 },
  trust: "pinned",
  fingerprint: new Uint8Array(32).fill(9),
  deviceName: "web1",
  seed: new Uint8Array(32).fill(7),
};

function checkIdentity(written: string): boolean {
  const decoded = decodeDeviceIdentity(written);
  mustBeResult(decoded);
  if (!decoded.ok) return false;
  const again = decodeDeviceIdentity(encodeDeviceIdentity(decoded.value));
  must(again.ok, "a decoded key encodes to a key");
  mustEqual(again.value, decoded.value, "decoding what was encoded");
  return true;
}

export const deviceIdentity: readonly FuzzCodec[] = [
  {
    name: "device-identity",
    seeds: text(encodeDeviceIdentity(IDENTITY)),
    check: (input) => checkIdentity(Buffer.from(input).toString("latin1")),
  },
  {
    // What is in it: a mutation of the base32 is hardly ever JSON.
    name: "device-identity-json",
    seeds: text(
      `{"host":"relay.example.net","port":7744,"trust":"pinned","fingerprint":"${"09".repeat(32)}","name":"web1","seed":"${"07".repeat(32)}"}`,
      `{"host":"2001:db8::7","port":1,"trust":"public-ca","fingerprint":null,"name":"a","seed":"${"ff".repeat(32)}"}`,
    ),
    check: (input) => checkIdentity(`hatchwaykey1-${encodeBase32(input)}`),
  },
];
