import { type PortSpans, PROTOCOLS } from "../../core/port-spans.ts";
import { spanText } from "./elements.ts";
import {
  checkChain,
  DROP_COUNTERS,
  ENDED_SETS,
  limitsName,
  PINHOLE_MARK,
  STATIC_SET_NAMES,
  STATIC_SETS,
} from "./names.ts";
import { triggerParts } from "./render-triggers.ts";
import {
  type Chain,
  drop,
  dynamic,
  FIRST,
  marked,
  ORIGINAL_PORT,
  PORT_KEY,
  portList,
  type SetDeclaration,
  type Sides,
  type Skeleton,
  SOURCE_PORT_KEY,
  setMark,
  TO_GATEWAY,
} from "./rule-words.ts";
import { networkText, outermost } from "./sources.ts";
import type { NatLimits, NatSettings } from "./state.ts";

/** Sources that a set of limits remembers; a table of this size takes 1 MiB when the set is made. */
const SOURCES_MAX = 65_536;
/** For one pair of limits of an entry's own: 128 KiB. */
const OWN_SOURCES_MAX = 8_192;
const BURST_SEC = 2;
/** WireGuard's sessions are renewed every 2 min (its REKEY_AFTER_TIME), and keepalives come every 25 s. */
const ENDPOINT_MEMORY = "3m";
/** Somebody ends them by hand: 128 KiB. */
const ENDED_MAX = 8_192;
/** Longer than a silent side needs to notice: TCP asks after 2 h, and eleven minutes more (tcp_keepalive_time, _intvl, _probes). */
const ENDED_MEMORY = "3h";
const NO_SYN = "tcp flags & (fin | syn | rst | ack) != syn";
const ENDED_TYPE = {
  4: "ipv4_addr . inet_service . inet_service",
  6: "ipv6_addr . inet_service . ipv6_addr . inet_service",
} as const;
/** RFC 4890 §4.3.1: what must not be dropped. */
const ICMPV6_THROUGH =
  "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, echo-reply }";

/** `ownLimits`: each pair of limits that an entry has of its own. */
export function renderSkeleton(settings: NatSettings, ownLimits: readonly NatLimits[]): Skeleton {
  const sides = sidesOf(settings);
  const checks = [null, ...ownLimits].map((limits) => checkParts(settings, limits));
  const triggers = triggerParts(settings, sides);
  return {
    counters: DROP_COUNTERS,
    sets: [
      ...STATIC_SET_NAMES.map((name) => ({ name, ...STATIC_SETS[name] })),
      { name: "hw_tunnel_endpoints", kind: "set", spec: dynamic("ipv4_addr", SOURCES_MAX, ENDPOINT_MEMORY) },
      { name: ENDED_SETS[4], kind: "set", spec: dynamic(ENDED_TYPE[4], ENDED_MAX, ENDED_MEMORY) },
      { name: ENDED_SETS[6], kind: "set", spec: dynamic(ENDED_TYPE[6], ENDED_MAX, ENDED_MEMORY) },
      ...checks.flatMap(({ sets }) => sets),
      ...triggers.sets,
    ],
    chains: [
      ...sourceChains(settings),
      ...checks.flatMap(({ chains }) => chains),
      {
        name: "hw_screen4",
        hook: null,
        rules: [`${PORT_KEY} vmap @hw_forwards`, `${PORT_KEY} vmap @hw_forward_spans`],
      },
      {
        name: "hw_screen6",
        hook: null,
        rules: [`ip6 daddr . ${PORT_KEY} vmap @hw_pinholes`, `ip6 daddr . ${PORT_KEY} vmap @hw_pinhole_spans`],
      },
      {
        name: "hw_dispatch",
        hook: null,
        rules: [
          // Not translated, it is for this machine, which has no such connection and resets it.
          `ip saddr . tcp sport . tcp dport @${ENDED_SETS[4]} ${NO_SYN} accept`,
          "jump hw_screen4",
          `dnat ip addr . port to ${PORT_KEY} map @hw_dnat`,
          `dnat ip to ${PORT_KEY} map @hw_dnat_spans`,
        ],
      },
      ...countChains(),
      forwardedChain(sides),
      ...triggers.chains,
      ...triggers.hooks,
      dnatHook(sides, triggers.dnat),
      ...inputHook(settings, sides),
      forwardHook(settings, sides, triggers.arm),
      inbound6Chain(),
      ...outputHook(settings, sides),
      ...sourceNatChains(settings, sides),
    ],
  };
}

function sidesOf(settings: NatSettings): Sides {
  const wan = nameSet(settings.wan);
  const insideNames = [...settings.lan, ...(settings.vpn === null ? [] : [settings.vpn.interface])];
  const inside = insideNames.length === 0 ? null : nameSet(insideNames);
  return {
    fromWan: `iifname ${wan}`,
    toWan: `oifname ${wan}`,
    fromInside: inside === null ? null : `iifname ${inside}`,
    toInside: inside === null ? null : `oifname ${inside}`,
    external: settings.externalAddresses.length === 0 ? null : `{ ${settings.externalAddresses.join(", ")} }`,
  };
}

function nameSet(names: readonly string[]): string {
  return `{ ${names.map((name) => `"${name}"`).join(", ")} }`;
}

/** Who may come to any forward at all. */
function sourceChains({ sources }: NatSettings): Chain[] {
  return ([4, 6] as const).map((family) => {
    const saddr = family === 4 ? "ip saddr" : "ip6 saddr";
    const list = (networks: readonly (typeof sources.allow)[number][]): string =>
      `{ ${outermost(networks, family).map(networkText).join(", ")} }`;
    const denied = outermost(sources.deny, family).length > 0 ? [`${saddr} ${list(sources.deny)}`] : [];
    const someAllowed = outermost(sources.allow, family).length > 0;
    const notAllowed = sources.allow.length === 0 ? [] : [someAllowed ? `${saddr} != ${list(sources.allow)}` : ""];
    return {
      name: `hw_sources${family}`,
      hook: null,
      rules: [...denied, ...notAllowed].map((match) => `${match} ${drop("sourceNotAllowed")}`.trim()),
    };
  });
}

/** The chains and sets of one pair of limits, for both families, with and without a list of sources of the entry's own. */
export function checkParts(settings: NatSettings, own: NatLimits | null): Pick<Skeleton, "sets" | "chains"> {
  const { connectionsPerSource, newPerSourcePerSec } = own ?? settings.limits;
  const size = own === null ? SOURCES_MAX : OWN_SOURCES_MAX;
  const sets: SetDeclaration[] = [];
  const chains: Chain[] = [];
  for (const family of [4, 6] as const) {
    const type =
      family === 4 ? "ipv4_addr . inet_proto . inet_service" : "ipv6_addr . ipv6_addr . inet_proto . inet_service";
    // A /64 is one source (RFC 6177): one subscriber has at least that.
    const source = family === 4 ? "ip saddr" : "ip6 saddr & ffff:ffff:ffff:ffff:: . ip6 daddr";
    const key = `${source} . ${PORT_KEY}`;
    const rules = [`jump hw_sources${family}`];
    // The number is in the names: an element keeps the limit of the rule that made it.
    if (family === 4 && settings.vpn !== null) rules.push(`ip saddr @hw_tunnel_endpoints ${drop("tunnelEndpoint")}`);
    if (newPerSourcePerSec !== null) {
      const rate = rateWords(newPerSourcePerSec);
      const name = `hw_rate${family}_${limitsName(own)}_${rate.name}`;
      sets.push({ name, kind: "set", spec: dynamic(type, size, `${rate.memorySec}s`) });
      const limit = `limit rate over ${rate.text} burst ${rate.burst} packets`;
      rules.push(`${FIRST} update @${name} { ${key} ${limit} } ${drop("rateLimit")}`);
    }
    if (connectionsPerSource !== null) {
      const name = `hw_connections${family}_${limitsName(own)}_${connectionsPerSource}`;
      sets.push({ name, kind: "set", spec: dynamic(type, size, null) });
      rules.push(`${FIRST} add @${name} { ${key} ct count over ${connectionsPerSource} } ${drop("connectionLimit")}`);
    }
    if (family === 6) rules.push(`${FIRST} jump hw_count_visits6`);
    const entryKey = family === 4 ? PORT_KEY : `ip6 daddr . ${PORT_KEY}`;
    const saddr = family === 4 ? "ip saddr" : "ip6 saddr";
    chains.push({ name: checkChain(family, false, own), hook: null, rules });
    chains.push({
      name: checkChain(family, true, own),
      hook: null,
      rules: [
        `${entryKey} . ${saddr} @hw_denied${family} ${drop("sourceNotAllowed")}`,
        `${entryKey} . ${saddr} . th sport != @hw_allowed${family} ${drop("sourceNotAllowed")}`,
        `goto ${checkChain(family, false, own)}`,
      ],
    });
  }
  return { sets, chains };
}

/** A rate in the kernel's words, which are whole numbers in some unit. */
function rateWords(perSec: number): { name: string; text: string; burst: number; memorySec: number } {
  const units = [
    ["second", 1],
    ["minute", 60],
    ["hour", 3_600],
    ["day", 86_400],
  ] as const;
  // The first unit in which little is lost by rounding.
  const [unit, sec] = units.find(([, length]) => isNearlyWhole(perSec * length)) ?? units[3];
  const count = Math.max(1, Math.round(perSec * sec));
  const burst = Math.max(1, Math.ceil(perSec * BURST_SEC));
  return { name: `${count}${unit[0]}`, text: `${count}/${unit}`, burst, memorySec: Math.ceil(burst / perSec) + 1 };
}

function isNearlyWhole(count: number): boolean {
  return count >= 1 && Math.abs(count - Math.round(count)) / count < 0.01;
}

/** A look-up is what counts: the counter is the element's. */
function countChains(): Chain[] {
  const chain = (name: string, matches: readonly string[], verdict: string): Chain => ({
    name,
    hook: null,
    rules: matches.map((match) => `${match} ${verdict}`),
  });
  const by4 = (direction: "in" | "out"): string[] =>
    ["", "_spans"].flatMap((spans) =>
      PROTOCOLS.map((name) => `meta l4proto ${name} ${ORIGINAL_PORT} @hw_${direction}_${name}${spans}`),
    );
  const by6 = (key: string, set: string): string[] => ["", "_spans"].map((spans) => `${key} @${set}${spans}`);
  const visited = `ip6 daddr . ${PORT_KEY}`;
  return [
    chain("hw_count_in4", by4("in"), "accept"),
    chain("hw_count_out4", by4("out"), "accept"),
    chain("hw_count_visits6", by6(visited, "hw_visits6"), `${setMark(PINHOLE_MARK)} return`),
    chain("hw_count_in6", by6(visited, "hw_in6"), "accept"),
    chain("hw_count_out6", by6(`ip6 saddr . ${SOURCE_PORT_KEY}`, "hw_out6"), "accept"),
    {
      name: "hw_pinholed",
      hook: null,
      rules: ["ct direction original goto hw_count_in6", "goto hw_count_out6"],
    },
  ];
}

/**
 * Every packet of every forward passes here, and each rule that it meets costs it: these are the only ones but the two
 * that lead here and count it. What another table has translated may have passed by, too.
 */
function forwardedChain({ fromWan, toWan, fromInside, toInside, external }: Sides): Chain {
  const rules = [
    `${fromWan} ct direction original goto hw_count_in4`,
    `${toWan} ct direction reply goto hw_count_out4`,
  ];
  if (fromInside !== null && toInside !== null && external !== null) {
    const hairpin = `${fromInside} ${toInside} ct original ip daddr ${external}`;
    rules.push(`${hairpin} ct direction original goto hw_count_in4`, `${hairpin} goto hw_count_out4`);
  }
  return { name: "hw_forwarded", hook: null, rules };
}

/**
 * What is refused is dropped before it is translated, so that no `ct status dnat accept` of another table lets it past.
 * Only first packets come to a hook of this type.
 */
function dnatHook({ fromWan, fromInside, external }: Sides, triggerDnat: readonly string[]): Chain {
  const rules = [`${fromWan} ${TO_GATEWAY} jump hw_dispatch`];
  if (fromInside !== null && external !== null) rules.push(`${fromInside} ip daddr ${external} jump hw_dispatch`);
  return {
    name: "hw_dstnat",
    hook: "type nat hook prerouting priority dstnat; policy accept;",
    rules: [...rules, ...triggerDnat],
  };
}

/** Only these ports: what else reaches this machine is its administrator's decision. */
function inputHook({ insideOnly }: NatSettings, { fromWan }: Sides): Chain[] {
  const single = (ports: readonly number[]): PortSpans => ports.map((port) => ({ first: port, last: port }));
  const ports = portList({ tcp: single(insideOnly.tcp), udp: single(insideOnly.udp) });
  if (ports === null) return [];
  return [
    {
      name: "hw_input",
      hook: "type filter hook input priority filter; policy accept;",
      rules: [`${fromWan} ${PORT_KEY} ${ports} ${drop("insideOnly")}`],
    },
  ];
}

function forwardHook(settings: NatSettings, sides: Sides, triggerArm: readonly string[]): Chain {
  const { fromWan, toWan, fromInside, toInside } = sides;
  const rules: string[] = [
    ...triggerArm,
    "ct status dnat jump hw_forwarded",
    `${marked(PINHOLE_MARK)} jump hw_pinholed`,
    "ct state established,related accept",
    "ct status dnat accept",
  ];
  if (toInside !== null) rules.push(`meta nfproto ipv6 ${fromWan} ${toInside} ct state new jump hw_inbound6`);
  // The kernel takes up a connection in its middle (nf_conntrack_tcp_loose): one that was cut would go on as the client's own.
  if (fromInside !== null) rules.push(`${fromInside} ${toWan} ct state new ${NO_SYN} reject with tcp reset`);
  if (settings.vpn !== null && !settings.vpnClientsMayMeet && toInside !== null)
    rules.push(`iifname "${settings.vpn.interface}" ${toInside} drop`);
  if (settings.dropUnforwarded && toInside !== null) {
    rules.push(`${fromWan} ${toInside} ${ICMPV6_THROUGH} accept`);
    rules.push(`${fromWan} ${toInside} ${drop("unforwarded")}`);
  }
  // Before other tables' chains, which may look at the mark of pinholes.
  return { name: "hw_forward", hook: "type filter hook forward priority filter - 5; policy accept;", rules };
}

function inbound6Chain(): Chain {
  const ended = `ip6 saddr . tcp sport . ip6 daddr . tcp dport @${ENDED_SETS[6]} ${NO_SYN}`;
  const rules = [`${ended} reject with tcp reset`, "jump hw_screen6", "goto hw_count_in6"];
  return { name: "hw_inbound6", hook: null, rules };
}

/**
 * Port Fail: a peer's own address must not reach a forward, or its owner would see that address. WireGuard answers
 * nobody but authenticated peers, so where it sends to is a peer.
 */
function outputHook({ vpn }: NatSettings, { toWan }: Sides): Chain[] {
  if (vpn === null) return [];
  return [
    {
      name: "hw_output",
      hook: "type filter hook output priority filter; policy accept;",
      rules: [`${toWan} udp sport ${vpn.listenPort} update @hw_tunnel_endpoints { ip daddr }`],
    },
  ];
}

/** Only what is forwarded from inside: what this machine sends itself keeps its ports (WireGuard's, above all). */
function sourceNatChains(settings: NatSettings, { toWan, fromInside, toInside, external }: Sides): Chain[] {
  if (fromInside === null || toInside === null) return [];
  const { first, last } = settings.snatPorts;
  const withPorts = `meta l4proto { tcp, udp } masquerade to :${spanText({ first, last })}`;
  const rules: string[] = [];
  if (external !== null)
    rules.push(`${fromInside} ${toInside} ct status dnat ct original ip daddr ${external} ${withPorts}`);
  if (settings.masquerade) rules.push(`${fromInside} ${toWan} meta nfproto ipv4 jump hw_masquerade`);
  return [
    {
      name: "hw_masquerade",
      hook: null,
      rules: [
        `meta l4proto { tcp, udp } masquerade to : ip saddr . ${SOURCE_PORT_KEY} map @hw_rsnat`,
        `ip saddr . ${SOURCE_PORT_KEY} @hw_rsnat_spans masquerade`,
        withPorts,
        "masquerade",
      ],
    },
    { name: "hw_srcnat", hook: "type nat hook postrouting priority srcnat; policy accept;", rules },
  ];
}
