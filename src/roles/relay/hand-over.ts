import { mergeSpans, PROTOCOLS } from "../../core/port-spans.ts";
import type { Sweepable, Sweeper } from "../../dataplanes/io/sweeper.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { messageOf } from "../../os/errors.ts";
import type { Logger } from "../../os/log.ts";
import { VERSION } from "../../os/version.ts";
import { awaitSuccessor, type HandoverLink } from "../../servers/local/handover-link.ts";
import { HANDOVER_VERSION, type HandoverMessage, type HandoverOf } from "../../wire/handover.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { HANDOVER_FEATURE } from "../../wire/tunnel/control.ts";
import { ControlError, type StartSuccessor, type UpgradeReply, type UpgradeRequest } from "../control.ts";
import { V } from "../views.ts";
import type { AgentPort } from "./agent-port.ts";
import type { RelayEntries, SharedEntry } from "./entries.ts";
import type { RelayForwards } from "./forwards.ts";
import type { RelayNames } from "./names.ts";

export interface HandOverOptions {
  /** Of the socket where the other process comes. */
  readonly path: string;
  readonly agentPort: Pick<AgentPort, "port" | "sessions" | "setShared" | "dropPending" | "stopListening">;
  /** Cuts the sessions of a device that was revoked. */
  cut(device: string): void;
  readonly entries: Pick<RelayEntries, "all" | "get" | "close">;
  readonly forwards: Pick<RelayForwards, "get">;
  /** Its ports are all sites': they change hands when every device has. */
  readonly names: Pick<RelayNames, "ports" | "setShared" | "drain">;
  /** Null: this program does not know how it was started. */
  readonly startSuccessor: StartSuccessor | null;
  /** Whoever supervises this process is to supervise that one. Never rejects. */
  handedOver(pid: number): Promise<void>;
  /** Ends a process that came and does not go on: nothing else makes it let go of the data directory. */
  kill(pid: number): void;
  /** The process before this one has left its ports. */
  settled(): Promise<void>;
  /** Why this relay cannot be handed over now, one sentence; null = it can. */
  refusal(): string | null;
  /** Nothing changes the store from now on. Resolves when all is on the disk and the data directory is free. */
  pause(): Promise<void>;
  /** It goes on as it was. Rejects when another process has taken the data directory. */
  resume(): Promise<void>;
  /** The other process is the relay. */
  give(): void;
  /** Frees the ports of what has no visitors of forwards. */
  closeServers(): Promise<void>;
  /** Visits that are not a forward's. */
  otherVisits(): number;
  /** The process before this one has ended, or there was none. */
  predecessorEnded(): boolean;
  /** All streams have ended, or their time is over: this process ends. */
  drained(): void;
  /** The one that took over ends, and wants this one to end within the same time. */
  stop(drainMs: number): void;
  /** How long streams may go on after the other process took over. */
  drainLimitMs(): number;
  readonly sweeper: Pick<Sweeper, "add" | "nowMs">;
  readonly log: Logger;
}

/** A program that was started asks for the relay within this. */
const START_WITHIN_MS = 30_000;
/** The process that was offered the relay comes within this, or not at all. */
const COME_WITHIN_MS = 10_000;
/** Until it serves: a database of years takes a while to bring to a new version. */
const SERVE_WITHIN_MS = 60_000;
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
 * The side of the process that goes. It holds still and lends the other its ports and its data; when that one serves, it
 * sends its devices there, closes each listener when the other has it, and carries its streams to their end. Until then
 * everything can be taken back: when the other ends before, this one goes on as it was.
 */
export class HandOver implements Sweepable {
  readonly #options: HandOverOptions;
  #stopWaiting: (() => void) | null = null;
  #deadline: Timer | null = null;
  #link: HandoverLink | null = null;
  /** Of the process that came. */
  #hello: HandoverOf<"hello"> | null = null;
  /** Why that one cannot take over, as it says. */
  #why: string | null = null;
  #supervised: Promise<void> = Promise.resolve();
  #startDeadline: Timer | null = null;
  #outcome: PromiseWithResolvers<UpgradeReply> | null = null;
  #startedMs = 0;
  /** When the other became the relay; null = this one is. */
  #givenMs: number | null = null;
  #retiring: Retiring[] = [];
  readonly #retired = new Set<SharedEntry>();
  /** Null: it has not begun to hold still. */
  #pausing: Promise<void> | null = null;
  #isLent = false;
  #isDone = false;
  #isReleased = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  get isGiven(): boolean {
    return this.#givenMs !== null;
  }

  /** See RelayControl. */
  async offer(): Promise<string> {
    await this.#options.settled();
    const refusal = this.#options.refusal();
    if (refusal !== null) throw new ControlError("failed", refusal);
    if (this.#stopWaiting !== null || this.#link !== null) {
      throw new ControlError("failed", "Another process is taking over already: try again when it has.");
    }
    this.#stopWaiting = awaitSuccessor(this.#options.path, {
      onMessage: (link, message) => this.#onMessage(link, message),
      onEnd: (link) => this.#onEnd(link),
    });
    this.#deadline = setTimeout(() => this.#endWaiting(), COME_WITHIN_MS);
    return this.#options.path;
  }

  /** See RelayControl. */
  async upgrade({ program }: UpgradeRequest): Promise<UpgradeReply> {
    await this.#options.settled();
    const { startSuccessor } = this.#options;
    const refusal = this.#options.refusal();
    if (refusal !== null) throw new ControlError("failed", refusal);
    if (startSuccessor === null || this.#outcome !== null || this.#link !== null) {
      const message =
        startSuccessor === null
          ? "This relay was not started by a command that can be started again: restart it."
          : "Another process is taking over already: try again when it has.";
      throw new ControlError("failed", message);
    }
    const outcome = Promise.withResolvers<UpgradeReply>();
    this.#outcome = outcome;
    this.#startedMs = this.#options.sweeper.nowMs();
    try {
      const child = startSuccessor(program);
      // 0: it was started by a program that leaves it (os/spawn.ts), or it has taken over and ended since.
      void child.exited.then((code) => {
        if (code !== 0) this.#failed(this.#why ?? `it ended with exit code ${code}; the log says why`);
      });
      this.#startDeadline = setTimeout(() => {
        if (this.#link !== null) return;
        // Else it might take over when nobody counts on it any more.
        child.kill();
        this.#failed(`it did not come within ${START_WITHIN_MS / 1_000} s; the log may say why`);
      }, START_WITHIN_MS);
      return await outcome.promise;
    } catch (error) {
      if (error instanceof ControlError) throw error;
      throw new ControlError("failed", `The program could not be started: ${messageOf(error)}.`, { cause: error });
    } finally {
      this.#outcome = null;
      if (this.#startDeadline !== null) clearTimeout(this.#startDeadline);
    }
  }

  /** See RelayControl.declineUpgrade. */
  declined(message: string): void {
    this.#failed(message.replace(/\.$/, ""));
  }

  #failed(why: string): void {
    const message = `The new process did not take over: ${why}. This relay goes on as it was.`;
    this.#outcome?.reject(new ControlError("failed", message));
  }

  #endWaiting(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  #onMessage(link: HandoverLink, message: HandoverMessage): void {
    // Only who was greeted first has a say.
    if (link !== this.#link && (this.#link !== null || message.t !== "hello")) {
      link.close();
      return;
    }
    switch (message.t) {
      case "hello":
        if (this.#link === null) this.#greeted(link, message);
        return;
      case "serving":
        if (this.#givenMs === null && this.#isLent) this.#give();
        return;
      case "free":
        this.#free(link);
        return;
      case "opened":
        this.#retire(message);
        return;
      case "closed": {
        const forward = this.#options.forwards.get(message.device, message.id);
        if (forward !== null && this.isGiven) this.#options.entries.close(forward);
        return;
      }
      case "cut":
        this.#options.cut(message.device);
        return;
      case "done":
        this.#done();
        return;
      case "stop":
        this.#options.stop(message.drainMs);
        return;
      case "refused":
        this.#why = message.message.replace(/\.$/, "");
        link.close();
        return;
      case "yours":
      case "freed":
      case "released":
        link.close();
        return;
      default:
        message satisfies never;
    }
  }

  #greeted(link: HandoverLink, hello: HandoverOf<"hello">): void {
    this.#endWaiting();
    this.#link = link;
    this.#hello = hello;
    if (hello.v !== HANDOVER_VERSION) {
      const message = `Version ${VERSION} cannot hand over to version ${hello.version}: restart the relay.`;
      link.send({ t: "refused", message });
      link.close();
      return;
    }
    this.#deadline = setTimeout(() => {
      link.close();
      this.#options.kill(hello.pid);
    }, SERVE_WITHIN_MS);
    this.#lend(link).catch((error: unknown) => {
      link.send({ t: "refused", message: messageOf(error) });
      link.close();
    });
  }

  async #lend(link: HandoverLink): Promise<void> {
    const { agentPort, entries, names, log, pause } = this.#options;
    log.info("process {pid} of version {version} takes over", { pid: this.#hello?.pid, version: this.#hello?.version });
    this.#pausing = pause();
    await this.#pausing;
    if (link.isClosed) return;
    const holders = [agentPort, names, ...entries.all()];
    const shared = holders.every((holder) => holder.setShared(true));
    if (!shared) throw new ControlError("failed", "This system shares no ports between processes: restart the relay.");
    const devices = [...agentPort.sessions()].map(({ peer }) => peer.deviceId);
    const agentPortNumber = agentPort.port;
    if (agentPortNumber === null) throw new ControlError("failed", "This relay does not listen for agents.");
    this.#isLent = true;
    link.send({
      t: "yours",
      v: HANDOVER_VERSION,
      version: VERSION,
      agentPort: agentPortNumber,
      ports: runsOf(
        [...entries.all()].flatMap(({ entry }) => entry?.ports ?? []),
        names.ports,
      ),
      devices,
    });
  }

  /** From here on there is no way back. */
  #give(): void {
    const { sweeper, agentPort, give, handedOver } = this.#options;
    const { pid = 0, version = "" } = this.#hello ?? {};
    this.#givenMs = sweeper.nowMs();
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    give();
    // Before the other process says that it is ready, which is after `freed`.
    this.#supervised = handedOver(pid);
    agentPort.dropPending();
    for (const session of agentPort.sessions()) if (follows(session)) session.send({ t: "handover" });
    this.#later(() => agentPort.stopListening());
    sweeper.add(this);
    this.#outcome?.resolve({ ...V, pid, version, tookMs: Math.round(sweeper.nowMs() - this.#startedMs) });
  }

  #free(link: HandoverLink): void {
    if (!this.isGiven) return;
    const { closeServers, log } = this.#options;
    Promise.all([closeServers(), this.#supervised])
      .catch((error: unknown) => log.error("a listener could not be closed: {error}", { error: messageOf(error) }))
      .finally(() => link.send({ t: "freed" }));
  }

  #later(close: () => void): void {
    this.#retiring.push({ atMs: this.#options.sweeper.nowMs() + RETIRE_MS, close });
  }

  #retire({ device, id }: HandoverOf<"opened">): void {
    if (!this.isGiven) return;
    const forward = this.#options.forwards.get(device, id);
    const entry = forward === null ? undefined : this.#options.entries.get(forward);
    if (entry !== undefined) this.#retireEntry(entry);
  }

  #retireEntry(entry: SharedEntry): void {
    if (this.#retired.has(entry)) return;
    this.#retired.add(entry);
    this.#later(() => entry.retire());
  }

  #done(): void {
    if (!this.isGiven) return;
    this.#isDone = true;
    for (const entry of this.#options.entries.all()) this.#retireEntry(entry);
    this.#later(() => this.#options.names.drain());
  }

  #onEnd(link: HandoverLink): void {
    if (link !== this.#link) return;
    if (this.#givenMs === null) {
      void this.#takeBack();
      return;
    }
    // Whoever is the relay next binds these ports alone.
    this.#done();
    for (const { close } of this.#retiring.splice(0)) close();
    for (const entry of this.#options.entries.all()) entry.endFlows();
  }

  async #takeBack(): Promise<void> {
    const { agentPort, entries, names, log, resume } = this.#options;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    const pausing = this.#pausing;
    this.#pausing = null;
    if (pausing === null) {
      this.#link = null;
      this.#hello = null;
      return;
    }
    this.#isLent = false;
    // What it was to have is given back when it has all been laid down.
    await pausing.catch(() => undefined);
    for (const holder of [agentPort, names, ...entries.all()]) holder.setShared(false);
    try {
      await resume();
      log.warn("the process that was to take over has ended; this one goes on as it was");
      this.#failed(this.#why ?? "it ended before it was ready");
    } catch (error) {
      log.error("the relay could not be taken back: {error}", { error: messageOf(error) });
      this.#failed(this.#why ?? "it ended before it was ready");
      this.#options.stop(0);
    } finally {
      this.#link = null;
      this.#hello = null;
      this.#why = null;
    }
  }

  sweep(nowMs: number): void {
    if (this.#givenMs === null) return;
    for (const one of this.#retiring.filter(({ atMs }) => atMs <= nowMs)) {
      this.#retiring.splice(this.#retiring.indexOf(one), 1);
      one.close();
    }
    const sinceMs = nowMs - this.#givenMs;
    this.#letGo(sinceMs);
    if (this.#isDone && this.#retiring.length === 0 && !this.#isReleased) {
      this.#isReleased = true;
      this.#link?.send({ t: "released" });
    }
    if (sinceMs >= this.#options.drainLimitMs() || this.#isEmpty()) this.#options.drained();
  }

  /** Ends sessions that nothing needs any more. */
  #letGo(sinceMs: number): void {
    for (const session of [...this.#options.agentPort.sessions()]) {
      const idle = session.openStreams + session.openFlows === 0;
      const mayGo = follows(session) ? this.#isReleased && idle : idle || sinceMs >= STRAGGLERS_MS;
      if (!mayGo) continue;
      session.send({ t: "bye", why: "shutdown" });
      session.close("another process of the relay took over", true);
    }
  }

  #isEmpty(): boolean {
    const { agentPort, otherVisits, predecessorEnded } = this.#options;
    if (!this.#isReleased || otherVisits() > 0 || !predecessorEnded()) return false;
    for (const _ of agentPort.sessions()) return false;
    return true;
  }
}

function follows({ peer }: Session): boolean {
  return peer.features?.includes(HANDOVER_FEATURE) === true;
}

function runsOf(
  open: readonly { readonly protocol: Protocol; readonly endpoint: { readonly port: number } }[],
  tcp: readonly number[],
): HandoverOf<"yours">["ports"] {
  return PROTOCOLS.flatMap((protocol) => {
    const ports = open.filter((port) => port.protocol === protocol).map(({ endpoint: { port } }) => port);
    if (protocol === "tcp") ports.push(...tcp);
    return mergeSpans(ports.map((port) => ({ first: port, last: port }))).map((run) => ({ protocol, ...run }));
  });
}
