import { mergeSpans, PROTOCOLS } from "../../core/port-spans.ts";
import { messageOf } from "../../os/errors.ts";
import { VERSION } from "../../os/version.ts";
import { awaitSuccessor, type HandoverLink } from "../../servers/local/handover-link.ts";
import { HANDOVER_VERSION, type HandoverMessage, type HandoverOf } from "../../wire/handover.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ControlError, type StartSuccessor, type UpgradeReply, type UpgradeRequest } from "../control.ts";
import { V } from "../views.ts";
import type { AgentPort } from "./agent-port.ts";
import { Draining, type DrainingOptions } from "./draining.ts";
import type { LentServers, ServerPorts } from "./lent-servers.ts";
import type { RelayNames } from "./names.ts";
import type { HandedOverSsh } from "./ssh/handed-over.ts";

export interface HandOverOptions extends DrainingOptions {
  /** Of the socket where the other process comes. */
  readonly path: string;
  readonly agentPort: DrainingOptions["agentPort"] & Pick<AgentPort, "port" | "setShared">;
  readonly names: DrainingOptions["names"] & Pick<RelayNames, "ports" | "setShared">;
  readonly ssh: HandedOverSsh;
  readonly servers: LentServers;
  /** Cuts the sessions of a device that was revoked. */
  cut(device: string): void;
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
  /** The one that took over ends, and wants this one to end within the same time. */
  stop(drainMs: number): void;
}

/** A program that was started asks for the relay within this. */
const START_WITHIN_MS = 30_000;
/** The process that was offered the relay comes within this, or not at all. */
const COME_WITHIN_MS = 10_000;
/** Until it serves: a database of years takes a while to bring to a new version. */
const SERVE_WITHIN_MS = 60_000;
/**
 * The side of the process that goes. It holds still and lends the other its ports and its data, until that one serves. Until
 * then everything can be taken back: when the other ends before, this one goes on as it was.
 */
export class HandOver {
  readonly #options: HandOverOptions;
  #stopWaiting: (() => void) | null = null;
  #deadline: Timer | null = null;
  #link: HandoverLink | null = null;
  /** Of the process that came. */
  #hello: HandoverOf<"hello"> | null = null;
  /** Why that one cannot take over, as it says. */
  #why: string | null = null;
  #startDeadline: Timer | null = null;
  #outcome: PromiseWithResolvers<UpgradeReply> | null = null;
  #startedMs = 0;
  /** The other is the relay; null = this one is. */
  #draining: Draining | null = null;
  /** Null: it has not begun to hold still. */
  #pausing: Promise<void> | null = null;
  #isLent = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  get isGiven(): boolean {
    return this.#draining !== null;
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
        if (!this.isGiven && this.#isLent) this.#give(link);
        return;
      case "free":
        this.#draining?.free(message.beside === true);
        return;
      case "opened":
        this.#draining?.opened(message);
        return;
      case "closed":
        this.#draining?.closed(message);
        return;
      case "cut":
        this.#options.cut(message.device);
        return;
      case "done":
        this.#draining?.done();
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
    const { agentPort, entries, names, ssh, servers, log, pause } = this.#options;
    log.info("process {pid} of version {version} takes over", { pid: this.#hello?.pid, version: this.#hello?.version });
    this.#pausing = pause();
    await this.#pausing;
    if (link.isClosed) return;
    const holders = [agentPort, names, ssh, servers, ...entries.all()];
    const shared = holders.every((holder) => holder.setShared(true));
    if (!shared) throw new ControlError("failed", "This system shares no ports between processes: restart the relay.");
    const devices = [...agentPort.sessions()].map(({ peer }) => peer.deviceId);
    const { tcp, udp } = servers.openPorts;
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
        { tcp: [...names.ports, ...(ssh.listener === null ? [] : [ssh.listener.port]), ...tcp], udp },
      ),
      devices,
      bySsh: ssh.devices,
      servers: true,
    });
  }

  /** From here on there is no way back. */
  #give(link: HandoverLink): void {
    const { sweeper, give, handedOver } = this.#options;
    const { pid = 0, version = "" } = this.#hello ?? {};
    const draining = new Draining(this.#options, link);
    this.#draining = draining;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    give();
    // Before the other process says that it is ready, which is after `freed`.
    draining.begin(handedOver(pid));
    this.#outcome?.resolve({ ...V, pid, version, tookMs: Math.round(sweeper.nowMs() - this.#startedMs) });
  }

  #onEnd(link: HandoverLink): void {
    if (link !== this.#link) return;
    if (this.#draining === null) void this.#takeBack();
    else this.#draining.ended();
  }

  async #takeBack(): Promise<void> {
    const { agentPort, entries, names, ssh, servers, log, resume } = this.#options;
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
    // What it was to have is given back when it has all been laid down; of what failed in that, `#lend` has told the other process.
    await pausing.catch(() => undefined);
    for (const holder of [agentPort, names, ssh, servers, ...entries.all()]) holder.setShared(false);
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
}

function runsOf(
  open: readonly { readonly protocol: Protocol; readonly endpoint: { readonly port: number } }[],
  more: ServerPorts,
): HandoverOf<"yours">["ports"] {
  return PROTOCOLS.flatMap((protocol) => {
    const ports = open.filter((port) => port.protocol === protocol).map(({ endpoint: { port } }) => port);
    ports.push(...more[protocol]);
    return mergeSpans(ports.map((port) => ({ first: port, last: port }))).map((run) => ({ protocol, ...run }));
  });
}
