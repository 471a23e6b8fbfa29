import { expect, test } from "bun:test";
import type { Cidr } from "../address.ts";
import { encodeDeviceText, type WgDeviceText } from "./device-text.ts";
import { formatKey } from "./key.ts";

const key = (seed: number) => formatKey(new Uint8Array(32).fill(seed));
const NONE = formatKey(new Uint8Array(32));

test.each<[string, WgDeviceText, string]>([
  ["nothing", { peers: [] }, ""],
  [
    "a server",
    {
      privateKey: key(1),
      listenPort: 51820,
      peers: [
        { publicKey: key(2), presharedKey: key(3), allowedIps: ["10.77.0.2/32", "fd00::2/128"] as Cidr[] },
        { publicKey: key(4), presharedKey: null, allowedIps: [], endpoint: { address: "2001:db8::1", port: 9 } },
      ],
    },
    `[Interface]\nPrivateKey = ${key(1)}\nListenPort = 51820\n[Peer]\nPublicKey = ${key(2)}\nPresharedKey = ${key(3)}\nAllowedIPs = 10.77.0.2/32, fd00::2/128\n[Peer]\nPublicKey = ${key(4)}\nPresharedKey = ${NONE}\nAllowedIPs = \nEndpoint = [2001:db8::1]:9\n`,
  ],
  [
    "one change of one peer",
    { peers: [{ publicKey: key(2), keepaliveSec: 0 }] },
    `[Peer]\nPublicKey = ${key(2)}\nPersistentKeepalive = off\n`,
  ],
])("%s, as wg reads it", (_what, device, text) => {
  expect(encodeDeviceText(device)).toBe(text);
});
