import type { Run } from "../../os/command.ts";
import { isIpv6 } from "../../wire/address.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ok, type Result } from "../../wire/result.ts";
import { runConntrack } from "./conntrack.ts";
import type { EndedConnection, NatEntry, NatError } from "./state.ts";

/** A connection or a UDP flow that the kernel leads through an entry. */
export interface NatVisit extends NatVisitName {
  /** Id of the entry. */
  readonly entryId: string;
  /** Unix time, milliseconds, to the second; null = it began while nf_conntrack_timestamp was off. */
  readonly openedMs: number | null;
  /** Of packets with their headers, from the visitor and back; null = it began while nf_conntrack_acct was off. */
  readonly bytesIn: number | null;
  readonly bytesOut: number | null;
}

/** What tells a visit from every other, and nearly always from a later one of the same addresses and ports. */
export interface NatVisitName {
  readonly protocol: Protocol;
  readonly visitor: Endpoint;
  /** What the visitor wrote to. */
  readonly entry: Endpoint;
  /** The kernel's, of the addresses and its place in memory (nf_ct_get_id): given again when the next one gets the same place. */
  readonly id: number;
}

export interface NatVisits {
  /** What is open now through entries, the newest first: of each entry VISITS_PER_ENTRY at most, of all VISITS_MAX. */
  list(): Promise<Result<readonly NatVisit[], NatError>>;
  /**
   * Ends one of them, and nothing else that the kernel tracks. False = it is over, or is no visit of an entry.
   *
   * The kernel forgets it. TCP: what still comes of it leads nowhere, and each side is reset when it speaks next (or hears
   * nothing more, where a firewall drops what is not forwarded). UDP: the next datagram begins a new flow.
   */
  end(name: NatVisitName): Promise<Result<boolean, NatError>>;
}

export interface NatVisitsOptions {
  readonly run: Run;
  /** By id. */
  readonly entries: () => ReadonlyMap<string, NatEntry>;
  /** Before the kernel forgets it. */
  readonly shut: (connection: EndedConnection) => Promise<void>;
}

/** One that is flooded hides no other. */
export const VISITS_PER_ENTRY = 2_000;
export const VISITS_MAX = 10_000;
const TIMEOUT_MS = 10_000;
const FAMILIES = ["ipv4", "ipv6"] as const;

export function createNatVisits({ run, entries, shut }: NatVisitsOptions): NatVisits {
  async function flows(family: (typeof FAMILIES)[number]): Promise<Result<TrackedFlow[], NatError>> {
    const listed = await runConntrack(run, ["-L", "-f", family, "-o", "id,ktimestamp"], TIMEOUT_MS);
    return listed.ok ? ok(parseTracked(listed.value.stdout)) : listed;
  }

  return {
    async list() {
      const entryOf = entryFinder(entries().values());
      const visits: NatVisit[] = [];
      for (const family of FAMILIES) {
        const tracked = await flows(family);
        if (!tracked.ok) return tracked;
        for (const flow of tracked.value) {
          const entry = entryOf(flow);
          if (entry !== null) visits.push(visitOf(flow, entry));
        }
      }
      return ok(bounded(visits));
    },

    async end(name) {
      const family = isIpv6(name.entry.address) ? "ipv6" : "ipv4";
      const tracked = await flows(family);
      if (!tracked.ok) return tracked;
      const flow = tracked.value.find((one) => isNamed(one, name));
      if (flow === undefined || entryFinder(entries().values())(flow) === null) return ok(false);
      const { protocol, visitor, entry } = flow;
      if (protocol === "tcp") await shut({ visitor, entry });
      // All that a flow is known by: this deletes it, or nothing.
      const deleted = await runConntrack(run, ["-D", "-f", family, ...tupleArgs(flow)], TIMEOUT_MS);
      return deleted.ok ? ok(deleted.value.stdout.includes(" src=")) : deleted;
    },
  };
}

/** As conntrack tells it. */
export interface TrackedFlow extends NatVisitName, Pick<NatVisit, "openedMs" | "bytesIn" | "bytesOut"> {
  /** Who answers, and to whom: what the kernel made of the two. */
  readonly answeredBy: Endpoint;
  readonly answeredTo: Endpoint;
}

const side = String.raw`src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) (?:packets=\d+ bytes=(\d+) )?`;
/**
 * `tcp 6 431998 ESTABLISHED src=… dst=… sport=… dport=… packets=3 bytes=170 src=… dst=… sport=… dport=… packets=2 bytes=112
 * [ASSURED] mark=0 delta-time=1 [start=Sun Nov 29 01:42:26 2026] use=1 id=2955267097`: no time-out where the flow is
 * offloaded, no bytes and no start where the kernel keeps none.
 */
const LINE = new RegExp(`^(tcp|udp) +\\d+ (?:\\d+ )?(?:([A-Z]\\w*) )?${side}(?:\\[\\w+\\] )?${side}(.*)$`);
const START = /\[start=\w+ (\w+ +\d+ [\d:]+ \d+)\]/;
const ID = / id=(\d+)/;
/** The kernel keeps what has ended for up to 120 s. */
const OVER: ReadonlySet<string | undefined> = new Set(["LAST_ACK", "TIME_WAIT", "CLOSE"]);

/** What is open, of `conntrack -L -o id,ktimestamp` with the language C in UTC. Lines of another form are passed over. */
export function parseTracked(text: string): TrackedFlow[] {
  return text.split("\n").flatMap((line) => {
    const found = LINE.exec(line);
    if (found === null) return [];
    const [, protocol, state, source, destination, sport, dport, bytesIn, ...rest] = found;
    const [answerer, asker, answererPort, askerPort, bytesOut, others = ""] = rest;
    const id = ID.exec(others)?.[1];
    if (OVER.has(state) || id === undefined) return [];
    const start = START.exec(others)?.[1];
    const openedMs = start === undefined ? Number.NaN : Date.parse(`${start} UTC`);
    return [
      {
        protocol: protocol as Protocol,
        visitor: endpoint(source, sport),
        entry: endpoint(destination, dport),
        answeredBy: endpoint(answerer, answererPort),
        answeredTo: endpoint(asker, askerPort),
        id: Number(id),
        openedMs: Number.isNaN(openedMs) ? null : openedMs,
        bytesIn: bytesIn === undefined ? null : Number(bytesIn),
        bytesOut: bytesOut === undefined ? null : Number(bytesOut),
      },
    ];
  });
}

function endpoint(address = "", port = ""): Endpoint {
  return { address, port: Number(port) };
}

function isNamed(flow: TrackedFlow, name: NatVisitName): boolean {
  return (
    flow.id === name.id &&
    flow.protocol === name.protocol &&
    isSame(flow.visitor, name.visitor) &&
    isSame(flow.entry, name.entry)
  );
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

function tupleArgs({ protocol, visitor, entry, answeredBy, answeredTo }: TrackedFlow): string[] {
  return [
    ...["-p", protocol],
    ...["-s", visitor.address, "--sport", `${visitor.port}`],
    ...["-d", entry.address, "--dport", `${entry.port}`],
    ...["-r", answeredBy.address, "--reply-port-src", `${answeredBy.port}`],
    ...["-q", answeredTo.address, "--reply-port-dst", `${answeredTo.port}`],
  ];
}

/**
 * By which entry a flow is led: redirected by IPv4, and by IPv6 to a host's own address. Entries of a protocol and client
 * have no port in common, so each port has one at most: 20,000 flows ask 20,000 entries in 10 ms.
 */
function entryFinder(entries: Iterable<NatEntry>): (flow: TrackedFlow) => NatEntry | null {
  const byClient = Map.groupBy(entries, ({ kind, protocol, to }) => `${kind} ${protocol} ${to}`);
  for (const ofClient of byClient.values()) ofClient.sort((a, b) => a.first - b.first);
  return ({ protocol, entry, answeredBy }) => {
    const kind = entry.address === answeredBy.address ? "pinhole" : "forward";
    const ofClient = byClient.get(`${kind} ${protocol} ${answeredBy.address}`) ?? [];
    const found = ofClient[lastBefore(ofClient, entry.port)];
    if (found === undefined || entry.port > found.last) return null;
    const inside = found.kind === "forward" ? found.internalFirst + entry.port - found.first : entry.port;
    return answeredBy.port === inside ? found : null;
  };
}

/** The place of the last one that begins at the port or before it; -1 = there is none. */
function lastBefore(sorted: readonly NatEntry[], port: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.first ?? 0) <= port) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function visitOf(flow: TrackedFlow, { id: entryId }: NatEntry): NatVisit {
  const { protocol, visitor, entry, id, openedMs, bytesIn, bytesOut } = flow;
  return { entryId, protocol, visitor, entry, id, openedMs, bytesIn, bytesOut };
}

/** What is known to be new comes first, and goes last when there are too many. */
function bounded(visits: readonly NatVisit[]): NatVisit[] {
  const counts = new Map<string, number>();
  const kept = visits
    .toSorted((a, b) => (b.openedMs ?? 0) - (a.openedMs ?? 0))
    .filter(({ entryId }) => {
      const count = (counts.get(entryId) ?? 0) + 1;
      counts.set(entryId, count);
      return count <= VISITS_PER_ENTRY;
    });
  return kept.slice(0, VISITS_MAX);
}
