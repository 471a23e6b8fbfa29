import type { Sweepable, Sweeper } from "../../dataplanes/io/sweeper.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { messageOf } from "../../os/errors.ts";
import type { Logger } from "../../os/log.ts";
import type { HandoverLink } from "../../servers/local/handover-link.ts";
import type { HandoverOf } from "../../wire/handover.ts";
import { HANDOVER_FEATURE } from "../../wire/tunnel/control.ts";
import type { AgentPort } from "./agent-port.ts";
import type { RelayEntries, SharedEntry } from "./entries.ts";
import type { RelayForwards } from "./forwards.ts";
import type { LentServers } from "./lent-servers.ts";
import type { RelayNames } from "./names.ts";
import type { HandedOverSsh } from "./ssh/handed-over.ts";

export interface DrainingOptions {
  readonly agentPort: Pick<AgentPort, "sessions" | "dropPending" | "stopListening">;
  readonly entries: Pick<RelayEntries, "all" | "get" | "close">;
  readonly forwards: Pick<RelayForwards, "get">;
  /** Its ports are all sites': they change hands when every device has. */
  readonly names: Pick<RelayNames, "drain">;
  readonly ssh: Pick<HandedOverSsh, "give" | "letGo" | "isEmpty" | "stopListening">;
  readonly servers: Pick<LentServers, "leave" | "retire" | "close">;
  /** Visits that are not a forward's. */
  otherVisits(): number;
  /** The process before this one has ended, or there was none. */
  predecessorEnded(): boolean;
  /** All streams have ended, or their time is over: this process ends. */
  drained(): void;
  /** How long streams may go on after the other process took over. */
  drainLimitMs(): number;
  readonly sweeper: Pick<Sweeper, "add" | "nowMs">;
  readonly log: Logger;
}

/**
 * A listener that gets no new connections is closed after this: a handshake that had begun ends within one round trip, or
 * after the first retransmission of its SYN-ACK (1 s, RFC 6298 section 2), and closing would reset it.
 */
const RETIRE_MS = 2_000;
/** Devices that do not know how to follow are let go when nothing is open, or after this. */
const STRAGGLERS_MS = 10_000;

/** What has to be closed at its time. */
interface Retiring {
  readonly atMs: number;
  close(): void;
}

/**
 * What becomes of a process when another one is the relay: it sends its devices there, closes each listener when the other has
 * it, and carries its streams to their end.
 */
export class Draining implements Sweepable {
  readonly #options: DrainingOptions;
  readonly #link: HandoverLink;
  readonly #givenMs: number;
  #supervised: Promise<void> = Promise.resolve();
  #retiring: Retiring[] = [];
  readonly #retired = new Set<SharedEntry>();
  #isDone = false;
  #isReleased = false;
  /** The other process has taken the servers' place, or they have ended. */
  #hasLeftServers = false;
  /** Its servers have requests of before under way. */
  #isAnswering = false;

  constructor(options: DrainingOptions, link: HandoverLink) {
    this.#options = options;
    this.#link = link;
    this.#givenMs = options.sweeper.nowMs();
  }

  /** `supervised`: whoever supervises this process looks after the other one. */
  begin(supervised: Promise<void>): void {
    const { agentPort, ssh, sweeper } = this.#options;
    this.#supervised = supervised;
    agentPort.dropPending();
    ssh.give();
    for (const session of agentPort.sessions()) if (follows(session)) session.send({ t: "handover" });
    this.#later(() => agentPort.stopListening());
    sweeper.add(this);
  }

  /** `beside`: the other listens where the servers do; else it waits until they have gone. */
  free(beside: boolean): void {
    const { servers, log } = this.#options;
    const closed = beside ? this.#leaveServers() : servers.close();
    this.#hasLeftServers = true;
    Promise.all([closed, this.#supervised])
      .catch((error: unknown) => log.error("a listener could not be closed: {error}", { error: messageOf(error) }))
      .finally(() => this.#link.send({ t: "freed" }));
  }

  #leaveServers(): void {
    this.#options.servers.leave();
    this.#later(() => this.#retireServers());
  }

  #retireServers(): void {
    const { servers, log } = this.#options;
    this.#isAnswering = true;
    servers
      .retire()
      .catch((error: unknown) => log.error("a server could not be ended: {error}", { error: messageOf(error) }))
      .finally(() => {
        this.#isAnswering = false;
      });
  }

  #later(close: () => void): void {
    this.#retiring.push({ atMs: this.#options.sweeper.nowMs() + RETIRE_MS, close });
  }

  /** The other process has its visitors. */
  opened({ device, id }: HandoverOf<"opened">): void {
    const forward = this.#options.forwards.get(device, id);
    const entry = forward === null ? undefined : this.#options.entries.get(forward);
    if (entry !== undefined) this.#retireEntry(entry);
  }

  #retireEntry(entry: SharedEntry): void {
    if (this.#retired.has(entry)) return;
    this.#retired.add(entry);
    this.#later(() => entry.retire());
  }

  closed({ device, id }: HandoverOf<"closed">): void {
    const forward = this.#options.forwards.get(device, id);
    if (forward !== null) this.#options.entries.close(forward);
  }

  done(): void {
    this.#isDone = true;
    for (const entry of this.#options.entries.all()) this.#retireEntry(entry);
    this.#later(() => {
      this.#options.names.drain();
      this.#options.ssh.stopListening();
    });
  }

  /** The other process has ended. */
  ended(): void {
    // Whoever is the relay next binds these ports alone.
    this.done();
    if (!this.#hasLeftServers) this.#leaveServers();
    this.#hasLeftServers = true;
    for (const { close } of this.#retiring.splice(0)) close();
    for (const entry of this.#options.entries.all()) entry.endFlows();
  }

  sweep(nowMs: number): void {
    for (const one of this.#retiring.filter(({ atMs }) => atMs <= nowMs)) {
      this.#retiring.splice(this.#retiring.indexOf(one), 1);
      one.close();
    }
    const sinceMs = nowMs - this.#givenMs;
    this.#letGo(sinceMs);
    if (this.#isDone && this.#retiring.length === 0 && !this.#isReleased) {
      this.#isReleased = true;
      this.#link.send({ t: "released" });
    }
    if (sinceMs >= this.#options.drainLimitMs() || this.#isEmpty()) this.#options.drained();
  }

  /** Ends sessions that nothing needs any more. */
  #letGo(sinceMs: number): void {
    if (this.#isReleased) this.#options.ssh.letGo();
    for (const session of [...this.#options.agentPort.sessions()]) {
      const idle = session.openStreams + session.openFlows === 0;
      const mayGo = follows(session) ? this.#isReleased && idle : idle || sinceMs >= STRAGGLERS_MS;
      if (!mayGo) continue;
      session.send({ t: "bye", why: "shutdown" });
      session.close("another process of the relay took over", true);
    }
  }

  #isEmpty(): boolean {
    const { agentPort, ssh, otherVisits, predecessorEnded } = this.#options;
    if (!this.#isReleased || this.#isAnswering || !ssh.isEmpty || otherVisits() > 0 || !predecessorEnded())
      return false;
    for (const _ of agentPort.sessions()) return false;
    return true;
  }
}

function follows({ peer }: Session): boolean {
  return peer.features?.includes(HANDOVER_FEATURE) === true;
}
