import { parseCidr } from "../../../wire/address.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import {
  type AddressSpan,
  every,
  type FilterChain,
  type FilterTable,
  HOOKS,
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

/** `nft -j list ruleset` → the tables that filter what this machine routes or receives (schema: libnftables-json(5)). */
export function parseNftRuleset(json: string): Result<FilterTable[], string> {
  const items = objectsOf(json);
  if (items === null) return err("it is not the JSON of nft");
  const tables = new Map<string, DraftTable>();
  const draftOf = (of: Fields): DraftTable | undefined => tables.get(`${of["family"]} ${of["table"]}`);
  for (const item of items) {
    const table = fieldsOf(item["table"]);
    if (table !== null && isFamily(table["family"]) && !listOf(table["flags"]).includes("dormant")) {
      const { family, name } = table;
      tables.set(`${family} ${name}`, { family, name: String(name), chains: new Map(), sets: new Map() });
    }
    const set = fieldsOf(item["set"]) ?? fieldsOf(item["map"]);
    if (set !== null) draftOf(set)?.sets.set(String(set["name"]), listOf(set["elem"]));
    const chain = fieldsOf(item["chain"]);
    if (chain !== null) draftOf(chain)?.chains.set(String(chain["name"]), { base: baseOf(chain), rules: [] });
    const rule = fieldsOf(item["rule"]);
    const draft = rule === null ? undefined : draftOf(rule);
    if (rule !== null && draft !== undefined) {
      draft.chains.get(String(rule["chain"]))?.rules.push(ruleOf(listOf(rule["expr"]), draft.sets));
    }
  }
  return ok(
    [...tables.values()].map(({ family, name, chains }) => ({
      dialect: "nft",
      family,
      name,
      chains: new Map([...chains].map(([chainName, chain]) => [chainName, { name: chainName, ...chain }])),
    })),
  );
}

/** The names of the tables that have named sets or maps. */
export function tablesWithSets(json: string): string[] {
  return (objectsOf(json) ?? []).flatMap((item) => {
    const set = fieldsOf(item["set"]) ?? fieldsOf(item["map"]);
    return set === null ? [] : [String(set["table"])];
  });
}

type Fields = Readonly<Record<string, unknown>>;
type Sets = ReadonlyMap<string, readonly unknown[]>;

interface DraftTable {
  readonly family: FilterTable["family"];
  readonly name: string;
  readonly chains: Map<string, { readonly base: FilterChain["base"]; readonly rules: Rule[] }>;
  readonly sets: Map<string, readonly unknown[]>;
}

function objectsOf(json: string): Fields[] | null {
  try {
    const list = fieldsOf(JSON.parse(json))?.["nftables"];
    return Array.isArray(list) ? list.map((item) => fieldsOf(item) ?? {}) : null;
  } catch {
    return null;
  }
}

function fieldsOf(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}

function isFamily(value: unknown): value is FilterTable["family"] {
  return value === "ip" || value === "ip6" || value === "inet";
}

function baseOf(chain: Fields): FilterChain["base"] {
  const hook = HOOKS.find((one): one is Hook => one === chain["hook"]);
  if (chain["type"] !== "filter" || hook === undefined) return null;
  return { hook, priority: Number(chain["prio"]), policy: chain["policy"] === "drop" ? "drop" : "accept" };
}

/** Statements that only count, mark or tell. What is not known here may be a condition, and the rule decides nothing. */
const WITHOUT_EFFECT = new Set(["counter", "log", "mangle", "notrack", "flow", "set", "map", "ct helper", "comment"]);

function ruleOf(statements: readonly unknown[], sets: Sets): Rule {
  return (packet) => {
    let applies: Known = true;
    for (const statement of statements) {
      const [key = "", body] = Object.entries(fieldsOf(statement) ?? {})[0] ?? [];
      if (WITHOUT_EFFECT.has(key)) continue;
      if (key === "match") {
        applies = every([applies, matches(fieldsOf(body) ?? {}, packet, sets)]);
        if (applies === false) return null;
        continue;
      }
      const verdict = key === "vmap" ? mapped(fieldsOf(body) ?? {}, packet, sets) : verdictOf(key, body);
      if (verdict === undefined) applies = null;
      else if (verdict !== null) return applies === true ? verdict : null;
    }
    return null;
  };
}

/** Undefined: not a verdict. Null: the packet goes on. */
function verdictOf(key: string, body: unknown): Verdict | null | undefined {
  switch (key) {
    case "accept":
    case "drop":
    case "return":
      return { kind: key };
    case "reject":
      return { kind: "drop" };
    case "continue":
      return null;
    case "jump":
    case "goto":
      return { kind: key, chain: String(fieldsOf(body)?.["target"]) };
    case "xt": // iptables-nft's extensions: this JSON names them and says nothing else
      return fieldsOf(body)?.["type"] === "target" && fieldsOf(body)?.["name"] === "REJECT"
        ? { kind: "drop" }
        : undefined;
    default:
      return undefined;
  }
}

function mapped(vmap: Fields, packet: Packet, sets: Sets): Verdict | null | undefined {
  const pairs = elements(vmap["data"], sets);
  for (const pair of pairs) {
    const [value, target] = listOf(pair);
    const hit = test(vmap["key"], plain(value), packet);
    if (hit === null) return undefined;
    if (!hit) continue;
    const [key = "", body] = Object.entries(fieldsOf(target) ?? {})[0] ?? [];
    return verdictOf(key, body);
  }
  return null;
}

/** A named or anonymous set, or one value. */
function elements(right: unknown, sets: Sets): readonly unknown[] {
  if (typeof right === "string" && right.startsWith("@")) return sets.get(right.slice(1)) ?? [];
  return listOf(fieldsOf(right)?.["set"] ?? right);
}

/** Elements with a comment or a timer are wrapped. */
function plain(element: unknown): unknown {
  const wrapped = fieldsOf(fieldsOf(element)?.["elem"]);
  return wrapped === null ? element : wrapped["val"];
}

function matches({ op, left, right }: Fields, packet: Packet, sets: Sets): Known {
  const masked = fieldsOf(left)?.["&"];
  if (Array.isArray(masked)) return matchesMasked(masked, op, right, packet);
  if (op !== "==" && op !== "!=" && op !== "in") return null;
  const hit = some(elements(right, sets).map((element) => test(left, plain(element), packet)));
  return op === "!=" ? not(hit) : hit;
}

/** `ct mark & 0x10 == 0x10`, `ct status & dnat == dnat`. */
function matchesMasked([left, mask]: readonly unknown[], op: unknown, right: unknown, packet: Packet): Known {
  const key = fieldsOf(fieldsOf(left)?.["ct"])?.["key"];
  if (key === "status" && op === "==" && mask === right) return test(left, right, packet);
  if (key !== "mark" || typeof mask !== "number" || typeof right !== "number") return null;
  const equal = matchesMark(packet.ctMark, right, mask);
  return op === "==" ? equal : op === "!=" ? not(equal) : null;
}

const IP_PROTOCOLS: Readonly<Record<string, unknown>> = { "6": "tcp", "17": "udp" };

/** One field of the packet against one value: a literal, a prefix, a range or a concatenation. */
function test(left: unknown, right: unknown, packet: Packet): Known {
  const parts = fieldsOf(left)?.["concat"];
  if (Array.isArray(parts)) {
    const values = listOf(fieldsOf(right)?.["concat"]);
    return every(parts.map((part, at) => test(part, values[at], packet)));
  }
  const [kind = "", body] = Object.entries(fieldsOf(left) ?? {})[0] ?? [];
  const fields = fieldsOf(body) ?? {};
  switch (kind) {
    case "meta":
      return testMeta(String(fields["key"]), right, packet);
    case "ct":
      return testTracked(String(fields["key"]), right, packet);
    case "payload":
      return testHeader(String(fields["protocol"]), String(fields["field"]), right, packet);
    case "fib":
      if (fields["result"] !== "type" || listOf(fields["flags"]).join() !== "daddr") return null;
      return right === packet.destination;
    default:
      return null;
  }
}

function testMeta(key: string, right: unknown, packet: Packet): Known {
  switch (key) {
    case "iif":
    case "iifname":
      return matchesName(String(right), packet.inBy, "*");
    case "oif":
    case "oifname":
      return matchesName(String(right), packet.outBy, "*");
    case "nfproto":
      return right === `ipv${packet.family}`;
    case "protocol":
      return right === (packet.family === 4 ? "ip" : "ip6");
    case "l4proto":
      return (IP_PROTOCOLS[String(right)] ?? right) === packet.protocol;
    case "pkttype":
      return right === (packet.destination === "multicast" ? "multicast" : "host");
    default:
      return null;
  }
}

function testTracked(key: string, right: unknown, packet: Packet): Known {
  switch (key) {
    case "state":
      return right === packet.state;
    case "status":
      return right === "dnat" ? packet.dnat : null;
    case "mark":
      return typeof right === "number" ? matchesMark(packet.ctMark, right, 0xffffffff) : null;
    default:
      return null;
  }
}

function testHeader(protocol: string, field: string, right: unknown, packet: Packet): Known {
  switch (`${protocol} ${field}`) {
    case "tcp dport":
    case "udp dport":
      return protocol === packet.protocol ? testPort(right, packet.port) : false;
    case "th dport":
      return testPort(right, packet.port);
    case "ip saddr":
    case "ip6 saddr":
      return testNetwork(protocol, right, packet, packet.from);
    case "ip daddr":
    case "ip6 daddr":
      return testNetwork(protocol, right, packet, packet.to);
    case "ip protocol":
      return packet.family === 4 && (IP_PROTOCOLS[String(right)] ?? right) === packet.protocol;
    case "ip6 nexthdr":
      return packet.family === 6 && (IP_PROTOCOLS[String(right)] ?? right) === packet.protocol;
    default:
      // Another transport's or family's header: the rule is not for this packet.
      if (protocol === "tcp" || protocol === "udp") return protocol === packet.protocol ? null : false;
      if (protocol === "icmp" || protocol === "icmpv6") return false;
      if (protocol === "ip" || protocol === "ip6")
        return protocol === (packet.family === 4 ? "ip" : "ip6") ? null : false;
      return null;
  }
}

function testPort(right: unknown, port: number | null): Known {
  const range = fieldsOf(right)?.["range"];
  const [first, last] = Array.isArray(range) ? range : [right, right];
  if (port === null || typeof first !== "number" || typeof last !== "number") return null;
  return port >= first && port <= last;
}

function testNetwork(protocol: string, right: unknown, packet: Packet, networks: Packet["from"]): Known {
  if ((protocol === "ip") !== (packet.family === 4)) return false;
  const span = spanOfValue(right);
  return span === null ? null : liesIn(networks, span, packet.family);
}

/** An address, a prefix or a range. */
function spanOfValue(value: unknown): AddressSpan | null {
  const prefix = fieldsOf(fieldsOf(value)?.["prefix"]);
  const [first, last] = listOf(fieldsOf(value)?.["range"] ?? value);
  const [from, to] = [first, last ?? first].map((end) => {
    const network = parseCidr(prefix === null ? String(end) : `${prefix["addr"]}/${prefix["len"]}`);
    return network.ok ? spanOf(network.value) : null;
  });
  return from == null || to == null ? null : { first: from.first, last: to.last };
}
