import { parseCidr } from "../../../wire/address.ts";
import {
  type Dialect,
  every,
  type FilterChain,
  type FilterTable,
  type Hook,
  type Known,
  liesIn,
  matchesMark,
  matchesName,
  not,
  type Packet,
  type Rule,
  some,
  spanOf,
  type Verdict,
} from "./ruleset.ts";

const HOOK_OF: Readonly<Record<string, Hook>> = { INPUT: "input", FORWARD: "forward" };
/** `filter` hooks in at priority 0 (NF_IP_PRI_FILTER), after DNAT. */
const PRIORITY = 0;

/** The `filter` table as `iptables -S` prints it. Lines it does not know are left out. */
export function parseIptables(dialect: Exclude<Dialect, "nft">, text: string): FilterTable {
  const lines = text.split("\n").map(words);
  const names = new Set<string>();
  for (const [option, chain] of lines)
    if ((option === "-P" || option === "-N") && chain !== undefined) names.add(chain);
  const chains = new Map<string, FilterChain>();
  for (const name of names) {
    const policy = lines.find(([option, chain]) => option === "-P" && chain === name)?.[2];
    const hook = HOOK_OF[name];
    const base = policy === undefined || hook === undefined ? null : { hook, priority: PRIORITY, policy };
    const rules = lines
      .filter(([option, chain]) => option === "-A" && chain === name)
      .map((line) => ruleOf(line, names));
    chains.set(name, { name, base: base === null ? null : { ...base, policy: policyOf(base.policy) }, rules });
  }
  return { dialect, family: dialect.startsWith("ip6") ? "ip6" : "ip", name: "filter", chains };
}

function policyOf(text: string): "accept" | "drop" {
  return text === "DROP" ? "drop" : "accept";
}

/** Comments and log prefixes stand in quotes, with `\"` inside. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:\\.|[^"\\])*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

interface Option {
  readonly name: string;
  readonly negated: boolean;
  readonly values: readonly string[];
  /** The extension it belongs to. */
  readonly extension: string;
}

type Condition = (packet: Packet) => Known;

function ruleOf([, , ...tokens]: readonly string[], chains: ReadonlySet<string>): Rule {
  const conditions: Condition[] = [];
  let verdict: Verdict | null = null;
  for (const option of optionsOf(tokens)) {
    if (option.name === "-j" || option.name === "-g") {
      verdict = verdictOf(option, chains);
      break; // what follows are the target's own options
    }
    const condition = conditionOf(option);
    conditions.push(option.negated ? (packet) => not(condition(packet)) : condition);
  }
  return (packet) => (every(conditions.map((condition) => condition(packet))) === true ? verdict : null);
}

function optionsOf(tokens: readonly string[]): Option[] {
  const options: { name: string; negated: boolean; values: string[]; extension: string }[] = [];
  let negated = false;
  let extension = "";
  for (const token of tokens) {
    if (token === "!") {
      negated = true;
    } else if (/^--?[a-z]/.test(token)) {
      options.push({ name: token, negated, values: [], extension });
      negated = false;
    } else {
      const option = options.at(-1);
      option?.values.push(token);
      if (option?.name === "-m") extension = token;
    }
  }
  return options;
}

function verdictOf({ name, values: [target = ""] }: Option, chains: ReadonlySet<string>): Verdict | null {
  switch (target) {
    case "ACCEPT":
      return { kind: "accept" };
    case "DROP":
    case "REJECT":
      return { kind: "drop" };
    case "RETURN":
      return { kind: "return" };
    default: // LOG, MARK and the like let packets go on
      return chains.has(target) ? { kind: name === "-g" ? "goto" : "jump", chain: target } : null;
  }
}

/** iptables-extensions(8). An option that is not known here makes the rule one for some packets. */
function conditionOf({ name, values, extension }: Option): Condition {
  const [value = ""] = values;
  const list = value.split(",");
  switch (name) {
    case "-m":
    case "--comment":
      return () => true;
    case "-i":
      return (packet) => matchesName(value, packet.inBy, "+");
    case "-o":
      return (packet) => matchesName(value, packet.outBy, "+");
    case "-p":
      return (packet) => value === "all" || value === packet.protocol;
    case "-s":
      return (packet) => inNetwork(value, packet.from, packet.family);
    case "-d":
      return (packet) => inNetwork(value, packet.to, packet.family);
    case "--dport":
    case "--dports":
      return (packet) => some(list.map((range) => hasPort(range, packet.port)));
    case "--state":
    case "--ctstate":
      return (packet) => some(list.map((state) => hasState(state, packet)));
    case "--ctstatus":
      return () => null;
    case "--dst-type":
      return (packet) => list.includes(packet.destination.toUpperCase());
    case "--pkt-type":
      return (packet) => value === (packet.destination === "multicast" ? "multicast" : "unicast");
    case "--mark": {
      const [mark = Number.NaN, mask = 0xffffffff] = value.split("/").map(Number);
      return (packet) => (extension === "connmark" ? matchesMark(packet.ctMark, mark, mask) : null);
    }
    default:
      return () => null;
  }
}

function inNetwork(text: string, networks: Packet["from"], family: Packet["family"]): Known {
  const network = parseCidr(text);
  const span = network.ok ? spanOf(network.value) : null;
  return span === null ? null : liesIn(networks, span, family);
}

function hasPort(range: string, port: number | null): Known {
  const [first = 0, last = first] = range.split(":").map(Number);
  return port === null ? null : port >= first && port <= last;
}

/** DNAT is a state of its own here, beside the connection's. */
function hasState(state: string, packet: Packet): Known {
  if (state === "DNAT") return packet.dnat;
  return state === "SNAT" ? null : state === packet.state.toUpperCase();
}
