import { readFileSync } from "node:fs";
import { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { systemSockets } from "../../dataplanes/io/system-sockets.ts";
import { monotonicMs } from "../../os/clock.ts";
import { errorCode } from "../../os/errors.ts";
import type { Logger } from "../../os/log.ts";
import type { LocalServer } from "../../servers/local/server.ts";
import type { StartSuccessor } from "../control.ts";
import { pause } from "../pause.ts";
import type { AgentPort, RelayPhase } from "./agent-port.ts";
import type { RelayEntries } from "./entries.ts";
import type { RelayForwards } from "./forwards.ts";
import { Gate } from "./gate.ts";
import { HandOver } from "./hand-over.ts";
import type { LentServers } from "./lent-servers.ts";
import type { RelayNames } from "./names.ts";
import { settle } from "./settle.ts";
import type { HandedOverSsh } from "./ssh/handed-over.ts";
import type { TakeOver } from "./take-over.ts";

/** How one process of a relay meets the others. */
export interface SuccessionParts {
  /** Open since before anything else: it holds the lock on the data directory. */
  readonly local: LocalServer;
  /** Opens it again, when it was given to a process that did not become the relay. */
  readonly reopenLocal: () => LocalServer;
  /** Where a process that takes over comes. */
  readonly upgradeSocket: string;
  readonly startSuccessor: StartSuccessor | null;
  readonly handedOver: (pid: number) => Promise<void>;
  /** What this process takes over; null = it is a start like any other. */
  readonly takeOver: TakeOver | null;
}

export interface SuccessionOptions {
  readonly agentPort: AgentPort;
  readonly entries: RelayEntries;
  readonly forwards: RelayForwards;
  readonly names: RelayNames;
  readonly ssh: HandedOverSsh;
  /** The agent port's, as configured. */
  port(): number;
  phase(): RelayPhase;
  become(phase: RelayPhase): void;
  /** Why this relay can never be handed over, one sentence; null = it can. */
  never(): string | null;
  /** Writes down what was carried until now. */
  record(): Promise<void>;
  /** What has no visitors of forwards. */
  readonly servers: LentServers;
  /** Each opens one of them, in their order, when `mayListen` has resolved. */
  readonly openServers: readonly ((mayListen: () => Promise<void>) => Promise<void>)[];
  /** Visits that are not a forward's. */
  otherVisits(): number;
  drainLimitMs(): number;
  stop(drainMs: number): void;
  /** For the log: an error that ends nothing. */
  failed(what: string, error: unknown): void;
  readonly sweeper: Sweeper;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** A process that gives up, or was killed, has the data directory for a moment longer: it may be in the middle of a migration. */
const LOCK_WITHIN_MS = 120_000;
const LOCK_RETRY_MS = 50;
const ANSWER_WITHIN_MS = 5_000;

/** The number is what the other said: in another container it is another process's here, which is left alone. */
function endTakingOver(pid: number): void {
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (argv.includes("--take-over")) process.kill(pid, "SIGKILL");
  } catch (error) {
    // It has ended by itself, or is another user's.
    if (!["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(errorCode(error) ?? "")) throw error;
  }
}

/** A relay's process among those before and after it: it may begin by taking over, and end by handing over. */
export class Succession {
  readonly gate = new Gate();
  readonly sharing = new PortSharing(systemSockets());
  readonly #parts: SuccessionParts;
  #local: LocalServer;
  /** The data directory is another process's to take. */
  #isReleased = false;
  #handOver: HandOver | null = null;
  /** The process before this one has left its ports. */
  #settled: Promise<void> = Promise.resolve();

  constructor(parts: SuccessionParts) {
    this.#parts = parts;
    this.#local = parts.local;
  }

  /** Another process is the relay, or may be about to be it: nothing here is to change the store. */
  holdsStill(phase: RelayPhase): boolean {
    return phase === "waiting" || this.#handOver?.isGiven === true;
  }

  get takeOver(): TakeOver | null {
    return this.#parts.takeOver;
  }

  /** The local socket's server, as it is now. */
  get local(): LocalServer {
    return this.#local;
  }

  /**
   * Until `serve` the other process can go on as it was; after that nothing may end this one that is not worth the service.
   * What takes the processor for long is done before: visitors come from then on.
   */
  async begin(takeOver: TakeOver, options: SuccessionOptions): Promise<void> {
    const { agentPort, entries, forwards, names, port, become, openServers, failed } = options;
    await takeOver.lend(this.sharing, port());
    // Devices that come already wait with what they want.
    become("waiting");
    this.gate.close();
    entries.watcher = takeOver;
    await names.prepare();
    agentPort.listen();
    await forwards.restore((device) => !takeOver.expects(device));
    let isServing = false;
    const mayListen = async () => {
      if (!isServing) {
        takeOver.serve();
        isServing = true;
        become("serving");
        this.gate.open();
      }
      if (!takeOver.lendsServers) await takeOver.free();
    };
    for (const open of openServers) {
      try {
        await open(mayListen);
      } catch (error) {
        if (!isServing) throw error;
        failed("a server could not be opened again, restart the relay when the cause is mended", error);
      }
    }
    await takeOver.free();
    this.#settled = settle({ ...options, takeOver, sharing: this.sharing });
    this.#settled.catch((error: unknown) => failed("the take-over could not be ended", error));
  }

  handOver(options: SuccessionOptions): HandOver {
    const { phase, never, stop } = options;
    const { upgradeSocket, startSuccessor, handedOver, takeOver } = this.#parts;
    this.#handOver ??= new HandOver({
      ...options,
      path: upgradeSocket,
      startSuccessor,
      handedOver,
      cut: (device) => this.cut(device, options.agentPort),
      kill: endTakingOver,
      settled: () => this.#settled,
      refusal: () =>
        never() ?? (phase() === "serving" ? null : "The relay is starting or stopping: try again when it serves."),
      pause: () => this.#pause(options),
      resume: () => this.#resume(options),
      give: () => options.become("draining"),
      predecessorEnded: () => takeOver?.hasEnded ?? true,
      drained: () => stop(0),
    });
    return this.#handOver;
  }

  /** A revoked device's sessions, here and at the processes before this one. */
  cut(device: string, agentPort: Pick<AgentPort, "cut">): void {
    agentPort.cut(device);
    this.#parts.takeOver?.cut(device);
  }

  async #pause({ forwards, become, record }: SuccessionOptions): Promise<void> {
    become("waiting");
    this.gate.close();
    await forwards.idle();
    await record();
    this.#isReleased = true;
    this.#local.release();
  }

  async #resume({ become, signal, failed }: SuccessionOptions): Promise<void> {
    if (this.#isReleased) {
      const before = this.#local;
      this.#local = await this.#reopened(signal);
      this.#isReleased = false;
      // Who asked for the upgrade is answered there.
      before.close({ answerWithinMs: ANSWER_WITHIN_MS }).catch((error) => failed("a socket stayed open", error));
    }
    become("serving");
    this.gate.open();
  }

  /** Rejects with what `reopenLocal` throws when another process keeps the data directory. */
  async #reopened(signal: AbortSignal): Promise<LocalServer> {
    const untilMs = monotonicMs() + LOCK_WITHIN_MS;
    for (;;) {
      try {
        return this.#parts.reopenLocal();
      } catch (error) {
        if (monotonicMs() >= untilMs || signal.aborted) throw error;
        await pause(LOCK_RETRY_MS, signal);
      }
    }
  }
}
