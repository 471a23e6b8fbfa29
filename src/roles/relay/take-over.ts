import type { HeldForward } from "../../core/held.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { messageOf } from "../../os/errors.ts";
import { VERSION } from "../../os/version.ts";
import { relayClient } from "../../servers/local/client.ts";
import { type HandoverLink, joinPredecessor } from "../../servers/local/handover-link.ts";
import { HANDOVER_VERSION, type HandoverMessage, type HandoverOf, MAX_REFUSAL_CHARS } from "../../wire/handover.ts";
import { ControlError } from "../control.ts";
import type { EntryWatcher } from "./entries.ts";

const GONE = "The relay that was to be taken over has ended: start this one without --take-over.";

/** The side of the process that comes: what the one before it lends, and what that one is told. */
export class TakeOver implements EntryWatcher {
  readonly #link: HandoverLink;
  readonly #yours = Promise.withResolvers<HandoverOf<"yours">>();
  readonly #freed = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #devices = new Set<string>();
  readonly #bySsh = new Set<string>();
  #agentPort = 0;
  #lendsServers = false;
  #isServing = false;
  #isFreeing = false;

  private constructor(link: HandoverLink) {
    this.#link = link;
    // Whoever waits for it hears why it does not come; it may fail before anybody does.
    this.#yours.promise.catch(() => undefined);
  }

  /**
   * Asks the relay that runs with the socket `relaySocket` to hand over. When this resolves it holds still, and its data directory
   * is this process's; it goes on as it was when `serve` is not called and this process ends. Rejects with ControlError.
   */
  static async begin(relaySocket: string): Promise<TakeOver> {
    const path = await relayClient(relaySocket).handOver();
    let taken: TakeOver | null = null;
    let link: HandoverLink;
    try {
      link = await joinPredecessor(path, {
        onMessage: (_link, message) => taken?.onMessage(message),
        onEnd: () => taken?.onEnd(),
      });
    } catch (cause) {
      throw new ControlError("failed", `The running relay could not be taken over: ${messageOf(cause)}.`, { cause });
    }
    taken = new TakeOver(link);
    if (link.isClosed) taken.onEnd();
    link.send({ t: "hello", v: HANDOVER_VERSION, pid: process.pid, version: VERSION });
    const { agentPort, devices, bySsh = [], servers } = await taken.#yours.promise;
    taken.#lendsServers = servers === true;
    taken.#agentPort = agentPort;
    for (const device of devices) taken.#devices.add(device);
    for (const device of bySsh) taken.#bySsh.add(device);
    return taken;
  }

  /** What this process may listen at beside the other. Rejects with ControlError when its agent port is another. */
  async lend(sharing: PortSharing, agentPort: number): Promise<void> {
    if (agentPort !== this.#agentPort) {
      const message = `The relay listens for agents at port ${this.#agentPort}, and is now configured for ${agentPort}: restart it to change that.`;
      throw new ControlError("usage", message);
    }
    const { ports } = await this.#yours.promise;
    sharing.expect([{ protocol: "tcp", port: agentPort }]);
    for (const { protocol, first, last } of ports) {
      for (let port = first; port <= last; port++) sharing.expect([{ protocol, port }]);
    }
  }

  /** The device is connected to the other process, and has not come here. */
  expects(device: string): boolean {
    return this.#devices.has(device) || this.#bySsh.has(device);
  }

  get expected(): number {
    return this.#devices.size + this.#bySsh.size;
  }

  /** This process is the relay from now on. Throws ControlError when the other has ended meanwhile. */
  serve(): void {
    if (this.#link.isClosed) throw new ControlError("failed", GONE);
    this.#isServing = true;
    this.#link.send({ t: "serving" });
  }

  /** The ports of the other's console, check page, metrics and STUN are lent as well; else they have to be free first. */
  get lendsServers(): boolean {
    return this.#lendsServers;
  }

  /**
   * Asked once for all. Where these are lent, when this process has opened its own beside them: resolves when the other one's need
   * nobody any more. Else resolves when they are free.
   */
  free(): Promise<void> {
    const beside = this.#lendsServers ? ({ beside: true } as const) : {};
    if (!this.#isFreeing) this.#link.send({ t: "free", ...beside });
    this.#isFreeing = true;
    return this.#freed.promise;
  }

  opened({ owner, spec }: HeldForward): void {
    if (this.#isServing) this.#link.send({ t: "opened", device: owner.device, id: spec.id });
  }

  closed({ owner, spec }: HeldForward): void {
    if (this.#isServing) this.#link.send({ t: "closed", device: owner.device, id: spec.id });
  }

  arrived(device: string): void {
    this.#devices.delete(device);
  }

  /** True when its agent is not to come as well: what is not open for the device yet, nobody else opens. */
  arrivedBySsh(device: string): boolean {
    return this.#bySsh.delete(device) && !this.#devices.has(device);
  }

  cut(device: string): void {
    this.#devices.delete(device);
    this.#bySsh.delete(device);
    this.#link.send({ t: "cut", device });
  }

  /** Resolves when the other listens nowhere any more. */
  async done(): Promise<void> {
    this.#link.send({ t: "done" });
    await this.#released.promise;
  }

  stop(drainMs: number): void {
    if (this.#isServing) this.#link.send({ t: "stop", drainMs });
  }

  get hasEnded(): boolean {
    return this.#link.isClosed;
  }

  /** The other process has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** It goes on as it was, unless this process serves; whoever asked for the upgrade is told why. */
  close(why: string): void {
    if (!this.#isServing) this.#link.send({ t: "refused", message: why.slice(0, MAX_REFUSAL_CHARS) });
    this.#link.close();
  }

  private onMessage(message: HandoverMessage): void {
    switch (message.t) {
      case "yours":
        this.#yours.resolve(message);
        return;
      case "refused":
        this.#yours.reject(new ControlError("failed", message.message));
        return;
      case "freed":
        this.#freed.resolve();
        return;
      case "released":
        this.#released.resolve();
        return;
      case "hello":
      case "serving":
      case "free":
      case "opened":
      case "closed":
      case "cut":
      case "done":
      case "stop":
        this.#link.close();
        return;
      default:
        message satisfies never;
    }
  }

  private onEnd(): void {
    this.#yours.reject(new ControlError("failed", GONE));
    this.#freed.resolve();
    this.#released.resolve();
    this.#ended.resolve();
    this.#devices.clear();
    this.#bySsh.clear();
  }
}
