import { type PortSpans, PROTOCOLS, subtractSpans } from "../../core/port-spans.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { checkChain, TRIGGER_HOSTS, TRIGGER_MARK, triggerNames } from "./names.ts";
import {
  type Chain,
  drop,
  dynamic,
  FIRST,
  PORT_KEY,
  portList,
  type SetDeclaration,
  type Sides,
  SOURCE_PORT_KEY,
  setMark,
  TO_GATEWAY,
} from "./rule-words.ts";
import type { NatSettings, TriggerRule } from "./state.ts";

/**
 * Port triggering in the kernel alone. A rule has one owner, in a map with one key; nft cannot compare a packet's
 * address with a value of a map, so the owner is written into the packet and the pair (owner, the connection's host) is
 * looked up among the pairs (a, a): for the owner nothing changes, and from any other the packet is dropped or gets
 * back the address that conntrack knows.
 */
export interface TriggerParts {
  readonly sets: readonly SetDeclaration[];
  readonly chains: readonly Chain[];
  /** Before the translation: the end of what is closed. */
  readonly hooks: readonly Chain[];
  readonly dnat: readonly string[];
  /** For the forward hook. */
  readonly arm: readonly string[];
}

/** Each change of host leaves a dead element behind until the kernel's next sweep. */
const OWNERS_MAX = 4_096;
const HOSTS_MAX = 65_536;
/** Every packet of a host refreshes its pair; a pair that outlives its use does no harm. */
const HOSTS_MEMORY = "30d";
/** The one key of a map or set that holds one value. */
const THE_KEY = "meta nfproto";
const NOTHING: TriggerParts = { sets: [], chains: [], hooks: [], dnat: [], arm: [] };

export function triggerParts(settings: NatSettings, { fromWan, toWan, fromInside }: Sides): TriggerParts {
  const usable = settings.triggers.flatMap((rule) => {
    const inPorts = portList(opened(rule, settings));
    const outPorts = portList(rule.out);
    return inPorts === null || outPorts === null ? [] : [{ rule, inPorts, outPorts, names: triggerNames(rule) }];
  });
  if (usable.length === 0 || fromInside === null) return NOTHING;
  const inbound = `${fromWan} ct status dnat ct direction original ip version 4`;
  return {
    sets: [
      { name: TRIGGER_HOSTS, kind: "set", spec: dynamic("ipv4_addr . ipv4_addr", HOSTS_MAX, HOSTS_MEMORY) },
      ...usable.flatMap(({ rule, names }) => [
        {
          name: names.owner,
          kind: "map" as const,
          spec: dynamic("nf_proto : ipv4_addr", OWNERS_MAX, `${rule.timeoutSec}s`),
        },
        { name: names.open, kind: "set" as const, spec: dynamic("nf_proto", OWNERS_MAX, `${rule.timeoutSec}s`) },
      ]),
    ],
    chains: usable.flatMap(({ rule }) => chainsOf(rule)),
    hooks: [
      {
        name: "hw_triggered",
        hook: "type filter hook prerouting priority dstnat - 1; policy accept;",
        rules: [
          // What a forward or another table has translated is not ours to cut.
          `ct mark & ${TRIGGER_MARK} == 0 accept`,
          ...usable.map(({ inPorts, names }) => `${inbound} ${PORT_KEY} ${inPorts} jump ${names.passChain}`),
          ...usable.map(({ inPorts }) => `${inbound} ${PORT_KEY} ${inPorts} ${drop("triggerClosed")}`),
          ...usable.map(
            ({ inPorts, names }) =>
              `${fromInside} ct status dnat ct direction reply ip version 4 ${SOURCE_PORT_KEY} ${inPorts} jump ${names.answerChain}`,
          ),
        ],
      },
    ],
    dnat: usable.flatMap(({ inPorts, names }) => {
      const asked = `${fromWan} ${TO_GATEWAY} ${PORT_KEY} ${inPorts}`;
      return [
        `${asked} ${THE_KEY} @${names.open} jump ${checkChain(4, false, null)}`,
        `${asked} ${setMark(TRIGGER_MARK)} dnat ip to ${THE_KEY} map @${names.owner}`,
      ];
    }),
    arm: usable.map(
      ({ outPorts, names }) =>
        `${fromInside} ${toWan} ip version 4 ct direction original ${PORT_KEY} ${outPorts} jump ${names.armChain}`,
    ),
  };
}

/** A trigger never opens a port of this gateway's own servers. */
function opened(rule: TriggerRule, { vpn, insideOnly }: NatSettings): Record<Protocol, PortSpans> {
  const own = (protocol: Protocol): PortSpans =>
    [...insideOnly[protocol], ...(vpn !== null && protocol === "udp" ? [vpn.listenPort] : [])]
      .sort((a, b) => a - b)
      .map((port) => ({ first: port, last: port }));
  const [tcp, udp] = PROTOCOLS.map((protocol) => subtractSpans(rule.in[protocol], own(protocol)));
  return { tcp: tcp ?? [], udp: udp ?? [] };
}

function chainsOf(rule: TriggerRule): Chain[] {
  const { owner, open, armChain, passChain, answerChain } = triggerNames(rule);
  const refresh = (address: string): string =>
    `update @${owner} { ${THE_KEY} : ${address} } update @${open} { ${THE_KEY} } update @${TRIGGER_HOSTS} { ${address} . ${address} }`;
  const element = `{ ${THE_KEY} : ip saddr }`;
  return [
    {
      name: armChain,
      hook: null,
      rules: [
        ...(rule.secondHost === "takesOver" ? [`${FIRST} delete @${owner} ${element}`] : []),
        // `add` leaves an owner that is there, and its time.
        `add @${owner} ${element}`,
        `update @${TRIGGER_HOSTS} { ip saddr . ip saddr }`,
        `ip saddr set ${THE_KEY} map @${owner}`,
        `ip saddr . ct original ip saddr @${TRIGGER_HOSTS} ${refresh("ip saddr")}`,
        "ip saddr set ct original ip saddr",
      ],
    },
    {
      name: passChain,
      hook: null,
      rules: [
        `ip daddr set ${THE_KEY} map @${owner}`,
        `ip daddr . ct reply ip saddr @${TRIGGER_HOSTS} ${refresh("ip daddr")} accept`,
      ],
    },
    {
      name: answerChain,
      hook: null,
      rules: [
        `ip saddr set ${THE_KEY} map @${owner}`,
        // Without an owner the address is the host's own still, and equal: an answer opens nothing.
        `${THE_KEY} @${open} ip saddr . ct reply ip saddr @${TRIGGER_HOSTS} ${refresh("ip saddr")}`,
        "ip saddr set ct reply ip saddr",
      ],
    },
  ];
}
