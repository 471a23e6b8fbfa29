import type { ByteEnd } from "../../../dataplanes/io/ends.ts";
import type { SshHandler } from "../../../servers/ssh/service.ts";
import type { TextView } from "../../../servers/ssh/text-session.ts";
import type { HostPort } from "../../../wire/endpoint.ts";
import { ok, type Result } from "../../../wire/result.ts";
import type { Gate } from "../gate.ts";
import type { SshClient } from "./client.ts";
import type { Behind } from "./model.ts";
import { NO_TRAFFIC, sumTraffic, type Traffic } from "./view.ts";

/** A client of this process, whose requests may be carried out by another one from some moment on. */
export class MovableClient implements SshHandler {
  /** Paths of its sockets, as it wrote them. */
  readonly sockets = new Set<string>();
  readonly #gate: Pick<Gate, "passed">;
  #moved = Promise.withResolvers<void>();
  readonly #left: (why: string) => void;
  #behind: Behind;
  #dialler: Pick<Behind, "dial">;
  /** What the process counted that is the relay now, as it said last; and what those had said before it. */
  #there = NO_TRAFFIC;
  #before = NO_TRAFFIC;
  #isAsking = false;

  constructor(
    /** As the process that carries clients calls it. */
    readonly number: number,
    readonly client: SshClient,
    gate: Pick<Gate, "passed">,
    left: (why: string) => void,
  ) {
    this.#behind = client;
    this.#dialler = client;
    this.#gate = gate;
    this.#left = left;
  }

  get view(): TextView {
    return this.client.view;
  }

  /** What it asks for from now on goes there, and so does what waits. */
  move(behind: Behind): void {
    this.#behind = behind;
    this.#isAsking = false;
    this.client.elsewhere = { sockets: () => this.#socketNames(), traffic: () => this.#elsewhere() };
    this.#moved.resolve();
  }

  #socketNames(): string[] {
    return [...this.sockets].flatMap((path) => this.client.socketName(path) ?? []);
  }

  /** As it was when it was looked at last: only who is looked at is asked for, and only once until it is answered. */
  #elsewhere(): Traffic {
    if (!this.#isAsking && this.#behind.count !== undefined) {
      this.#isAsking = true;
      this.#behind.count();
    }
    return sumTraffic([this.#before, this.#there]);
  }

  /** The process that is the relay has counted this since it has the client. */
  counted(traffic: Traffic): void {
    this.#isAsking = false;
    this.#there = traffic;
  }

  /** What it dials by TCP from now on is dialled there: the devices that it may name are there, too. */
  moveDials(dialler: Pick<Behind, "dial">): void {
    this.#dialler = dialler;
  }

  /** Nobody carries out requests now: they wait for `move`. */
  hold(): void {
    this.#moved = Promise.withResolvers();
    // Who visits through that process now is not asked for any more.
    this.#before = { ...sumTraffic([this.#before, this.#there]), visitorsOpen: 0 };
    this.#there = NO_TRAFFIC;
  }

  /** While one process takes over from another, nothing changes the store. A gate is never open again where another is the relay. */
  #turn(): Promise<void> {
    return Promise.race([this.#gate.passed(), this.#moved.promise]);
  }

  async forward(bind: HostPort): Promise<Result<number, string>> {
    await this.#turn();
    return this.#behind.forward(bind);
  }

  async cancelForward(bind: HostPort): Promise<boolean> {
    await this.#turn();
    return this.#behind.cancelForward(bind);
  }

  async forwardSocket(path: string): Promise<Result<null, string>> {
    await this.#turn();
    const opened = await this.#behind.forwardSocket(path);
    if (!opened.ok) return opened;
    this.sockets.add(path);
    return ok(null);
  }

  async cancelSocket(path: string): Promise<boolean> {
    await this.#turn();
    this.sockets.delete(path);
    return this.#behind.cancelSocket(path);
  }

  dial(target: HostPort, channel: ByteEnd): void {
    this.#dialler.dial(target, channel);
  }

  dialSocket(path: string, channel: ByteEnd): void {
    this.#behind.dialSocket(path, channel);
  }

  closed(why: string): void {
    this.#left(why);
    this.client.closed(why);
  }
}
