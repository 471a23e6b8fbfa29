import { HELPER_CALLS, type HelperCall, helperRequest } from "../../src/roles/gateway/helper/schema.ts";
import { parseJson } from "../../src/wire/json.ts";
import { natForward, natPinhole, natSettings } from "../contract/nat-plane.ts";
import { type FuzzCodec, must, mustEqual, text } from "./codec.ts";
import { VPN_STATE } from "./vpn-codecs.ts";

/** One valid input for each of the privileged helper's calls. */
const INPUTS: Readonly<Record<HelperCall, unknown>> = {
  replace: {
    settings: natSettings({
      vpn: { interface: "wg0", listenPort: 51820 },
      triggers: [
        {
          name: "games",
          out: { tcp: [{ first: 6000, last: 6010 }], udp: [] },
          in: { tcp: [], udp: [{ first: 7000, last: 7000 }] },
          timeoutSec: 60,
          secondHost: "refused",
        },
      ],
    }),
    entries: [natForward({ first: 80 }), natPinhole({ first: 443 })],
  },
  change: {
    put: [natForward({ first: 81, limits: { connectionsPerSource: 1, newPerSourcePerSec: 0.5 } })],
    remove: ["a"],
  },
  usage: {},
  drops: {},
  openTriggers: {},
  forward: { wan: ["eth0"] },
  firewalls: {
    wan: ["eth0"],
    inside: [{ name: "br0", networks: ["192.168.1.0/24"] }],
    servers: { tcp: [5000], udp: [5351] },
    vpnPort: 51820,
    ipv6: true,
    pinholeMark: 1,
  },
  openFlows: {},
  visits: {},
  endVisit: {
    protocol: "tcp",
    visitor: { address: "198.51.100.7", port: 40_001 },
    entry: { address: "2001:db8::1", port: 80 },
    id: 2_955_267_097,
  },
  vpnApply: { state: VPN_STATE },
  vpnStatus: {},
  vpnClose: { clean: true },
  close: { clean: false },
};
const REQUESTS = Object.entries(INPUTS).map(([call, input], id) => ({ id, call, input }));

/** True = the helper would do it. */
function check(value: unknown): boolean {
  const request = helperRequest.safeParse(value);
  if (!request.success) return false;
  const { call, input } = request.data;
  const parsed = HELPER_CALLS[call].input.safeParse(input);
  if (!parsed.success) {
    must(parsed.error.message !== "", "a refusal says why");
    return false;
  }
  const again = HELPER_CALLS[call].input.safeParse(JSON.parse(JSON.stringify(parsed.data)));
  mustEqual(again.data, parsed.data, "what was taken is taken again, as the same");
  return true;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const VALUES: readonly Json[] = [
  ...[null, true, 0, -1, 1.5, 65_535, 65_536, 1e300],
  ...[
    "",
    "a b",
    "-x",
    "../x",
    "*",
    '"',
    "\n",
    "wg0",
    "::1",
    "10.0.0.1",
    "::ffff:10.0.0.1",
    "0.0.0.0/0",
    "x".repeat(600),
  ],
  ...[[], {}, [[]], ["eth0", "eth0"], { first: 2, last: 1 }],
];

/** Each node of the tree: where it hangs. */
function* nodes(parent: Json): Generator<readonly [parent: Json[] | { [key: string]: Json }, key: string]> {
  if (parent === null || typeof parent !== "object") return;
  for (const [key, child] of Object.entries(parent)) {
    yield [parent, key];
    yield* nodes(child);
  }
}

/** A valid request (the first byte says which) after changes of its tree, three bytes each. */
function mutated([which = 0, ...bytes]: Uint8Array): Json {
  const request = JSON.parse(JSON.stringify(REQUESTS[which % REQUESTS.length])) as Json;
  for (let at = 0; at + 2 < bytes.length && at < 12; at += 3) {
    const [where = 0, how = 0, what = 0] = bytes.slice(at, at + 3);
    const all = [...nodes(request)];
    const [parent, key] = all[where % all.length] ?? [];
    if (parent === undefined || key === undefined) break;
    const holder = parent as { [key: string]: Json };
    const [otherParent, otherKey] = all[what % all.length]!;
    if (how % 4 === 0) Reflect.deleteProperty(holder, key);
    else if (how % 4 === 1) holder[`${key}${what}`] = structuredClone(holder[key]!);
    else if (how % 4 === 2) holder[key] = structuredClone((otherParent as { [key: string]: Json })[otherKey] ?? null);
    else holder[key] = structuredClone(VALUES[what % VALUES.length]!);
  }
  return request;
}

export const helper: readonly FuzzCodec[] = [
  {
    name: "helper-request",
    seeds: text(...REQUESTS.map((request) => JSON.stringify(request))),
    check: (input) => check(parseJson(new TextDecoder().decode(input))),
  },
  {
    // A mutation of the text is hardly ever JSON of the same shape: here it changes the tree.
    name: "helper-request-tree",
    seeds: REQUESTS.flatMap((_, which) => [Uint8Array.of(which), Uint8Array.of(which, 3, 3, 3, 9, 2, 17)]),
    check: (input) => check(JSON.parse(JSON.stringify(mutated(input)))),
  },
];
