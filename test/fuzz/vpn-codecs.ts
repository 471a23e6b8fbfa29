import { decodeVpnState } from "../../src/dataplanes/nat/wireguard/desired.ts";
import { decodeLink } from "../../src/dataplanes/nat/wireguard/link.ts";
import { INTERFACE_NAME } from "../../src/wire/interface-name.ts";
import { parseJson } from "../../src/wire/json.ts";
import { decodeClientConfig, encodeClientConfig } from "../../src/wire/wireguard/client-config.ts";
import { decodeDump } from "../../src/wire/wireguard/dump.ts";
import { type FuzzCodec, must, mustBeResult, mustBeSmall, mustEqual, text, textCodec } from "./codec.ts";

const KEY = (n: number) => `${"A".repeat(41)}${"AEIMQUYcgkosw048"[n]}=`.padStart(44, "A");
const CONFIG = `[Interface]
PrivateKey = ${KEY(1)}
Address = 10.77.0.2/32, fd00:99::2/128
DNS = 10.77.0.1, example.lan
MTU = 1420

[Peer]
PublicKey = ${KEY(2)}
PresharedKey = ${KEY(3)}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25
`;
const OWN_TABLE = CONFIG.replace(
  "MTU = 1420\n",
  `FwMark = 51820
Table = 51820
PostUp = ip -4 rule add not fwmark 51820 table 51820; ip -6 rule add not fwmark 51820 table 51820
PreDown = ip -4 rule del not fwmark 51820 table 51820; ip -6 rule del not fwmark 51820 table 51820
`,
);
const COMPACT = CONFIG.replaceAll(" = ", "=").replaceAll(", ", ",").replace("\n\n", "\n");
const DUMP = [
  [KEY(1), KEY(2), "51820", "off"],
  [KEY(3), KEY(4), "203.0.113.9:41641", "10.77.0.2/32,fd00:99::2/128", "1700000000", "1234", "5678", "25"],
  [KEY(5), "(none)", "[2001:db8::9]:1", "(none)", "0", "0", "0", "off"],
]
  .map((columns) => columns.join("\t"))
  .join("\n");
export const VPN_STATE = {
  interface: "hatchway0",
  listenPort: 51820,
  mtu: 1420,
  addresses: [
    { address: "10.77.0.1", prefix: 24 },
    { address: "fd00:99::1", prefix: 64 },
  ],
  peers: [
    {
      publicKey: KEY(2),
      presharedKey: KEY(3),
      addresses: ["10.77.0.2", "fd00:99::2"],
      lastEndpoint: { address: "203.0.113.9", port: 41_641 },
    },
    { publicKey: KEY(4), presharedKey: null, addresses: ["10.77.0.3"], lastEndpoint: null },
  ],
};
const LINK = [
  {
    flags: ["POINTOPOINT", "NOARP", "UP", "LOWER_UP"],
    mtu: 1420,
    linkinfo: { info_kind: "wireguard" },
    addr_info: [{ local: "10.77.0.1", prefixlen: 24, scope: "global" }],
  },
];

export const vpn: readonly FuzzCodec[] = [
  textCodec({
    name: "wireguard-client-config",
    seeds: text(CONFIG, OWN_TABLE, COMPACT, CONFIG.replace("PublicKey", "PostUp")),
    parse: decodeClientConfig,
    print: encodeClientConfig,
    more(config) {
      const compact = decodeClientConfig(encodeClientConfig(config, "compact"));
      mustEqual(compact, { ok: true, value: config }, "the compact form says the same");
    },
  }),
  {
    name: "wireguard-dump",
    seeds: text(DUMP, `(none)\t(none)\t0\toff\n`),
    check(input) {
      const decoded = decodeDump(new TextDecoder().decode(input));
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      mustBeSmall(JSON.stringify(decoded.value.peers.map(({ allowedIps }) => allowedIps)).length, input.length);
      must(Number.isSafeInteger(decoded.value.listenPort), "a port is a number");
      for (const { receivedBytes, sentBytes } of decoded.value.peers) {
        must(receivedBytes >= 0 && sentBytes >= 0, "counters are numbers");
      }
      return true;
    },
  },
  {
    name: "wireguard-vpn-state",
    seeds: text(JSON.stringify(VPN_STATE)),
    check(input) {
      const decoded = decodeVpnState(parseJson(new TextDecoder().decode(input)));
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      must(INTERFACE_NAME.test(decoded.value.interface), "an interface's name is one");
      const again = decodeVpnState(JSON.parse(JSON.stringify(decoded.value)));
      mustEqual(again, decoded, "decoding what was decoded");
      return true;
    },
  },
  {
    name: "wireguard-link",
    seeds: text(JSON.stringify(LINK), "[]"),
    check(input) {
      const decoded = decodeLink(new TextDecoder().decode(input));
      mustBeResult(decoded);
      return decoded.ok;
    },
  },
];
