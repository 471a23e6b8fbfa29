import type { CommandOutput, Run } from "../../os/command.ts";
import { isIpv6 } from "../../wire/address.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { NatEntry, NatError } from "./state.ts";

/**
 * Rules decide about a flow's first packet; after that the kernel's connection tracking goes on as it began. So what an
 * entry has led, and what came before it was there, is forgotten when it changes, and the next packet is a first one.
 *
 * TCP: the kernel takes up a connection in the middle (nf_conntrack_tcp_loose=1, its default), whoever speaks next. The
 * visitor: no DNAT any more, so this machine resets it; a pinhole's is dropped. The host inside, by IPv4: SNAT to a port
 * outside the forwarded ones (NatSettings.snatPorts) makes the visitor reset it; SNAT that keeps the port brings the
 * connection back. By IPv6 nothing is translated: only a forward chain that refuses new connections without SYN ends it.
 */
export interface Conntrack {
  /**
   * Ends what these entries have led, and (UDP) what reached this machine itself at a port that is led on from now.
   * Give an entry that was removed, both forms of one that changed, one that was added. After the rules have changed.
   */
  forget(entries: readonly NatEntry[]): Promise<Result<Forgotten, NatError>>;
  /** What is open now through forwards (IPv4, redirected) and to hosts of their own addresses (IPv6). */
  open(): Promise<Result<OpenFlows, NatError>>;
  /** All that comes from, or goes to, a client that is no longer one. */
  forgetClient(address: string): Promise<Result<Forgotten, NatError>>;
}

/** How many flows there are, by `flowKey`. */
export type OpenFlows = ReadonlyMap<string, number>;

/** By the port that visitors came to, and who answers. */
export function flowKey(protocol: Protocol, port: number, answeredBy: string): string {
  return `${protocol} ${port} ${answeredBy}`;
}

export interface Forgotten {
  /** Of all that was done together. */
  readonly flows: number;
}

export interface ConntrackOptions {
  readonly run: Run;
  /** Addresses of this machine. */
  readonly ownAddresses: () => readonly string[];
}

/** A flow as its first packet had it, and what the kernel made of it. */
export interface Flow {
  readonly protocol: Protocol;
  readonly destination: string;
  readonly port: number;
  /** Who answers: another than `destination` when it was redirected. */
  readonly answeredBy: string;
  /** TCP that both sides have ended, or one has reset. */
  readonly isOver: boolean;
}

/** The kernel keeps what has ended: 120 s in TIME_WAIT, 30 s in LAST_ACK, 10 s in CLOSE (nf_conntrack_tcp_timeout_…). */
const OVER: ReadonlySet<string> = new Set(["LAST_ACK", "TIME_WAIT", "CLOSE"]);

/**
 * conntrack 1.4.7 reads the whole table for each -D: measured 10 ms with an empty table (262,144 buckets), 32 ms with
 * 10,000 entries, in a batch as well. So it is listed once (40 ms with 10,000), and the fewest deletes are asked for:
 * one for each port that has flows, or one for a client all of whose ports go. What is asked for while that runs is done by
 * the next run, all of it: 1,000 new UDP mappings cost two lists and not 1,000.
 */
const WHOLE_CLIENT_FROM_PORTS = 4;
/** A second for what takes 30 ms on an idle machine, for each delete. */
const TIMEOUT_MS = 10_000;
const DELETE_TIMEOUT_MS = 1_000;

export function createConntrack({ run, ownAddresses }: ConntrackOptions): Conntrack {
  async function list(family: Family): Promise<Result<Flow[], NatError>> {
    const listed = await runConntrack(run, ["-L", "-f", family, "-o", "save"], TIMEOUT_MS);
    return listed.ok ? ok(parseFlows(listed.value.stdout)) : listed;
  }

  async function deleteAll(deletes: readonly string[]): Promise<Result<Forgotten, NatError>> {
    if (deletes.length === 0) return ok({ flows: 0 });
    const input = deletes.map((line) => `${line}\n`).join("");
    const deleted = await runConntrack(run, ["-R", "-"], TIMEOUT_MS + deletes.length * DELETE_TIMEOUT_MS, input);
    // It prints each entry that it deleted.
    return deleted.ok ? ok({ flows: parsePrinted(deleted.value.stdout) }) : deleted;
  }

  const forgetSoon = joined<readonly NatEntry[], Result<Forgotten, NatError>>(async (asked) => {
    const entries = asked.flat();
    const deletes: string[] = [];
    for (const [family, kind] of [
      ["ipv4", "forward"],
      ["ipv6", "pinhole"],
    ] as const) {
      const ofFamily = entries.filter((entry) => entry.kind === kind);
      if (ofFamily.length === 0) continue;
      const listed = await list(family);
      if (!listed.ok) return listed;
      deletes.push(...deletesFor(family, listed.value, ofFamily, new Set(ownAddresses())));
    }
    return await deleteAll(deletes);
  });

  return {
    forget: (entries) => (entries.length === 0 ? Promise.resolve(ok({ flows: 0 })) : forgetSoon(entries)),

    async open() {
      const counts = new Map<string, number>();
      for (const family of ["ipv4", "ipv6"] as const) {
        const listed = await list(family);
        if (!listed.ok) return listed;
        for (const { protocol, destination, port, answeredBy, isOver } of listed.value) {
          if (isOver || (family === "ipv4" && destination === answeredBy)) continue;
          const key = flowKey(protocol, port, answeredBy);
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
      }
      return ok(counts);
    },

    forgetClient(address) {
      const family = isIpv6(address) ? "ipv6" : "ipv4";
      return deleteAll(["-s", "-d", "-r", "-q"].map((side) => `-D -f ${family} ${side} ${address}`));
    },
  };
}

/** One run at a time, each for all that was asked for before it began: an answer is of a run that began after its question. */
function joined<Question, Answer>(
  run: (questions: readonly Question[]) => Promise<Answer>,
): (question: Question) => Promise<Answer> {
  let next: { readonly questions: Question[]; readonly answer: Promise<Answer> } | null = null;
  let last: Promise<unknown> = Promise.resolve();
  return (question) => {
    if (next === null) {
      const questions: Question[] = [];
      const answer = last.then(() => {
        next = null;
        return run(questions);
      });
      next = { questions, answer };
      // A failure is told to those who asked.
      last = answer.catch(() => undefined);
    }
    next.questions.push(question);
    return next.answer;
  };
}

type Family = "ipv4" | "ipv6";

/** `-A -t 29 -u SEEN_REPLY -s … -d … -g … -q … -p tcp --sport … --dport … --state …`; -r where nothing was redirected. */
export function parseFlows(text: string): Flow[] {
  return text.split("\n").flatMap((line) => {
    const words = line.split(" ");
    const after = (option: string): string => words[words.indexOf(option) + 1] ?? "";
    const protocol = after("-p");
    if (words[0] !== "-A" || (protocol !== "tcp" && protocol !== "udp")) return [];
    const answeredBy = words.includes("-r") ? after("-r") : after("-g");
    const isOver = words.includes("--state") && OVER.has(after("--state"));
    return [{ protocol, destination: after("-d"), port: Number(after("--dport")), answeredBy, isOver }];
  });
}

function parsePrinted(stdout: string): number {
  return stdout.split("\n").filter((line) => line.includes(" src=")).length;
}

/** Lines for `conntrack -R`. */
export function deletesFor(
  family: Family,
  flows: readonly Flow[],
  entries: readonly NatEntry[],
  own: ReadonlySet<string>,
): string[] {
  const isStale = staleFlows(entries, own);
  const pairs = Map.groupBy(
    flows,
    ({ protocol, destination, answeredBy }) => `-p ${protocol} -d ${destination} -r ${answeredBy}`,
  );
  return [...pairs].flatMap(([pair, ofPair]) => {
    const stale = ofPair.filter(isStale);
    const ports = new Set(stale.map(({ port }) => port));
    const line = `-D -f ${family} ${pair}`;
    if (ports.size >= WHOLE_CLIENT_FROM_PORTS && stale.length === ofPair.length) return [line];
    return [...ports].map((port) => `${line} --dport ${port}`);
  });
}

function staleFlows(entries: readonly NatEntry[], own: ReadonlySet<string>): (flow: Flow) => boolean {
  const byProtocol = Map.groupBy(entries, ({ protocol }) => protocol);
  const byClient = Map.groupBy(entries, ({ protocol, to }) => `${protocol} ${to}`);
  return ({ protocol, destination, port, answeredBy }) => {
    const has = ({ first, last }: NatEntry): boolean => port >= first && port <= last;
    const redirected = destination !== answeredBy;
    if (
      byClient
        .get(`${protocol} ${answeredBy}`)
        ?.some((entry) => has(entry) && redirected === (entry.kind === "forward"))
    ) {
      return true;
    }
    // A visitor that kept trying before there was a forward: its flow would go on to this machine, past DNAT.
    const missedIt = protocol === "udp" && !redirected && own.has(destination);
    return missedIt && byProtocol.get(protocol)?.some((entry) => entry.kind === "forward" && has(entry)) === true;
  };
}

/** `input`: given on its standard input. */
export async function runConntrack(
  run: Run,
  args: readonly string[],
  timeoutMs: number,
  input = "",
): Promise<Result<CommandOutput, NatError>> {
  const done = await run(["conntrack", ...args], { input, timeoutMs });
  if (!done.ok) {
    const { kind, message } = done.error;
    return err({ kind: kind === "missing" || kind === "permission" ? kind : "refused", message });
  }
  const { exitCode, stderr } = done.value;
  // 1 is also how it says that it found nothing to delete.
  if (exitCode === 0 || /\b0 flow entries have been deleted/.test(stderr)) return ok(done.value);
  const said = stderr.trim().split("\n").at(-1) ?? "";
  if (/not permitted/i.test(said)) {
    return err({
      kind: "permission",
      message: "Run the gateway as root, or with CAP_NET_ADMIN: the system does not let conntrack in.",
    });
  }
  return err({
    kind: "refused",
    message: `Old connections may go on: conntrack says "${said}"; version 1.4.7 of conntrack-tools or a later one is needed.`,
  });
}
