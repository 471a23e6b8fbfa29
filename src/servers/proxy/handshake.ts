import { type ByteEnd, type ByteSink, HOLD_BYTES, type Visit } from "../../dataplanes/io/ends.ts";
import type { EntryHost } from "../../dataplanes/io/entry.ts";
import { join } from "../../dataplanes/io/join.ts";
import type { Admission } from "../../dataplanes/io/visits.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { encodeSocksRefusal } from "../../wire/socks.ts";
import { type Answer, AskingEnd } from "./asking-end.ts";
import type { Clients, Impatient } from "./clients.ts";
import { ConnectDialogue } from "./connect-dialogue.ts";
import type { Credentials } from "./credentials.ts";
import type { Dialogue, Step } from "./dialogue.ts";
import type { Guesses } from "./guesses.ts";
import { SocksDialogue } from "./socks-dialogue.ts";
import { openAssociation } from "./udp-association.ts";

const SOCKS4_FIRST_BYTE = 4;
const SOCKS5_FIRST_BYTE = 5;

/** What all clients of one proxy share. */
export interface ProxyContext {
  readonly host: EntryHost;
  readonly clients: Clients;
  readonly guesses: Guesses;
  credentials(): Credentials | null;
}

/** Talks with an admitted client until it has asked for something, then hands it to a join or an association. */
export function shakeHands(context: ProxyContext, client: ByteEnd, visit: Visit, admission: Admission): void {
  const handshake = new Handshake(context, client, visit, admission);
  client.sink = handshake;
  context.clients.add(handshake);
}

/** What came while an answer was held back; reading is paused, so it is little. */
interface Held {
  readonly step: Step;
  late: Uint8Array[];
  ended: boolean;
}

class Handshake implements ByteSink, Impatient {
  #dialogue: Dialogue | null = null;
  #held: Held | null = null;

  constructor(
    readonly context: ProxyContext,
    readonly client: ByteEnd,
    readonly visit: Visit,
    readonly admission: Admission,
  ) {}

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#held !== null) {
      // A copy: of a Buffer, slice() would be none.
      this.#held.late.push(new Uint8Array(bytes));
      return;
    }
    this.#dialogue ??= startDialogue(bytes[0], this.context.credentials());
    const step = this.#dialogue.feed(bytes);
    const heldMs = this.#heldMs(step);
    if (heldMs === null) this.client.reset("rateLimit");
    else if (heldMs > 0) this.#hold(step, heldMs);
    else this.#take(step);
  }

  #heldMs({ credentials }: Step): number | null {
    if (credentials === null) return 0;
    const { guesses, host } = this.context;
    return guesses.heldMs(this.visit.visitor.address, credentials === "right", host.spec.sweeper.nowMs());
  }

  #hold(step: Step, heldMs: number): void {
    const { next } = step;
    const kept = next?.kind === "connect" ? { ...step, next: { ...next, rest: new Uint8Array(next.rest) } } : step;
    this.#held = { step: kept, late: [], ended: false };
    this.client.backlog(HOLD_BYTES);
    this.context.clients.add(this, heldMs);
  }

  #release({ step, late, ended }: Held): void {
    this.#held = null;
    this.context.guesses.answered(this.visit.visitor.address);
    this.context.clients.add(this);
    this.client.backlog(0);
    this.#take(step);
    // To whoever listens to the client now.
    for (const bytes of late) this.client.sink.onData(bytes);
    if (ended) this.client.sink.onEnd();
  }

  #take({ reply, next }: Step): void {
    if (reply !== null) this.client.write(reply);
    if (next === null) return;
    switch (next.kind) {
      case "connect":
        this.#connect(next.to, next.answer, next.rest);
        return;
      case "associate":
        this.#associate(next.from);
        return;
      case "refuse":
        this.#refuse(next.reason);
        return;
      default:
        next satisfies never;
    }
  }

  onDrain(): void {}

  /** Nobody who half-closes before asking can be answered. */
  onEnd(): void {
    if (this.#held !== null) this.#held.ended = true;
    else this.#refuse("protocolError");
  }

  onClose(reason: ReasonName | null): void {
    if (this.#held !== null) this.context.guesses.answered(this.visit.visitor.address);
    this.#held = null;
    this.#leave(reason ?? "protocolError");
  }

  expired(): void {
    if (this.#held !== null) this.#release(this.#held);
    else this.client.reset("idle");
  }

  closed(): void {
    this.client.reset("shutdown");
  }

  #connect(to: HostPort, answer: Answer, rest: Uint8Array): void {
    const { host, clients } = this.context;
    clients.remove(this);
    const visit = { ...this.visit, destination: to };
    const asking = new AskingEnd(this.client, answer, clients);
    join(asking, host.shape(host.exit.connect(visit)), visit, host.visits, this.admission);
    // The client need not wait for the answer: what it has sent already goes first.
    if (rest.length > 0) asking.sink.onData(rest);
  }

  #associate(from: HostPort): void {
    const { host, clients } = this.context;
    clients.remove(this);
    const reason = openAssociation({ host, client: this.client, visit: this.visit, admission: this.admission, from });
    if (reason === null) return;
    this.client.write(encodeSocksRefusal(SOCKS5_FIRST_BYTE, reason));
    this.#refuse(reason);
  }

  #refuse(reason: ReasonName): void {
    this.context.clients.bidFarewell(this.client, null);
    this.#leave(reason);
  }

  #leave(reason: ReasonName): void {
    this.context.clients.remove(this);
    this.context.host.visits.counters.countRefused(reason);
    this.admission.leave(this.visit.visitor.address);
  }
}

function startDialogue(firstByte: number | undefined, credentials: Credentials | null): Dialogue {
  return firstByte === SOCKS4_FIRST_BYTE || firstByte === SOCKS5_FIRST_BYTE
    ? new SocksDialogue(credentials)
    : new ConnectDialogue(credentials);
}
