import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Cidr } from "../address.ts";
import { decodeDump } from "./dump.ts";
import { formatKey } from "./key.ts";

const key = (seed: number) => formatKey(new Uint8Array(32).fill(seed));
/** As wg 1.0.20210914 prints it. */
const DUMP = `${key(1)}\t${key(2)}\t51820\toff
${key(3)}\t(none)\t192.0.2.9:52879\t10.77.0.2/32,fd00::2/128\t1795573766\t180\t92\toff
${key(4)}\t${key(5)}\t[2001:db8::9]:1\t(none)\t0\t0\t0\t25
${key(6)}\t(none)\t(none)\t10.77.0.4/32\t0\t0\t0\toff
`;

describe("wg show dump", () => {
  test("is read whole, but for the private key", () => {
    const decoded = decodeDump(DUMP);
    expect(decoded).toEqual({
      ok: true,
      value: {
        publicKey: key(2),
        listenPort: 51820,
        peers: [
          {
            publicKey: key(3),
            presharedKey: null,
            endpoint: { address: "192.0.2.9", port: 52879 },
            allowedIps: ["10.77.0.2/32", "fd00::2/128"] as Cidr[],
            latestHandshakeSec: 1795573766,
            receivedBytes: 180,
            sentBytes: 92,
            keepaliveSec: 0,
          },
          {
            publicKey: key(4),
            presharedKey: key(5),
            endpoint: { address: "2001:db8::9", port: 1 },
            allowedIps: [],
            latestHandshakeSec: null,
            receivedBytes: 0,
            sentBytes: 0,
            keepaliveSec: 25,
          },
          {
            publicKey: key(6),
            presharedKey: null,
            endpoint: null,
            allowedIps: ["10.77.0.4/32"] as Cidr[],
            latestHandshakeSec: null,
            receivedBytes: 0,
            sentBytes: 0,
            keepaliveSec: 0,
          },
        ],
      },
    });
    expect(JSON.stringify(decoded)).not.toContain(key(1));
  });

  test("of a new interface has no keys", () => {
    expect(decodeDump("(none)\t(none)\t0\toff\n")).toEqual({
      ok: true,
      value: { publicKey: null, listenPort: 0, peers: [] },
    });
  });

  test("a link-local endpoint loses its zone", () => {
    const decoded = decodeDump(DUMP.replace("[2001:db8::9]", "[fe80::9%2]"));
    expect(decoded.ok && decoded.value.peers[1]?.endpoint).toEqual({ address: "fe80::9", port: 1 });
  });

  test.each([
    ["nothing", ""],
    ["a column less", DUMP.replace("\toff\n", "\n")],
    ["a peer's key twisted", DUMP.replace(key(3), "x")],
    ["no key of a peer", DUMP.replace(key(3), "(none)")],
    ["an address that is none", DUMP.replace("10.77.0.4/32", "10.77.0.4/33")],
    ["a negative count", DUMP.replace("\t180\t", "\t-1\t")],
    ["an endpoint without a port", DUMP.replace(":52879", "")],
    ["an error", "Unable to access interface: No such device"],
  ])("%s is an error", (_what, text) => {
    const decoded = decodeDump(text);
    expect(decoded.ok).toBe(false);
    if (!decoded.ok) expect(decoded.error.message).toMatch(/^wg says something else about the (interface|peer)/);
  });

  test("cut anywhere, or with any text in it, it never throws", () => {
    for (let at = 0; at <= DUMP.length; at++) decodeDump(DUMP.slice(0, at));
    fc.assert(
      fc.property(fc.nat(DUMP.length), fc.nat(20), fc.string(), (at, removed, added) => {
        decodeDump(DUMP.slice(0, at) + added + DUMP.slice(at + removed));
      }),
      { numRuns: 2_000 },
    );
  });
});
