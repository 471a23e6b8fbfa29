import { type StunPlace, StunResponder, type StunSilence } from "../../core/stun/responder.ts";
import type { StunSite } from "../../core/stun/sites.ts";
import { canonicalPeer } from "../../dataplanes/io/bind-address.ts";
import { type EntryError, entryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { sendDatagram } from "../../dataplanes/io/send-datagram.ts";
import { bindBesideUdp, bindUdp, type UdpSocket } from "../../dataplanes/io/udp-socket.ts";
import { type Endpoint, formatEndpoint } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";

export interface StunServerOptions {
  readonly port: number;
  /** The second port of every address; null = none. */
  readonly alternatePort: number | null;
  /** With other processes of this program; absent = with none. */
  readonly sharing?: PortSharing;
  /** Monotonic. */
  nowMs(): number;
  /** Ends the server. */
  readonly signal: AbortSignal;
}

/** Datagrams that came in, by what became of them; unsent: the operating system did not take the answer. */
export type StunCounts = Readonly<Record<"answered" | "unsent" | StunSilence, number>>;

interface OpenSocket {
  readonly endpoint: Endpoint;
  readonly socket: UdpSocket;
}

/** A STUN server (RFC 8489, RFC 5780) on UDP. */
export class StunServer {
  readonly #options: StunServerOptions;
  readonly #responder: StunResponder;
  readonly #sockets = new Map<string, OpenSocket>();
  readonly #others = new Map<string, string | null>();
  readonly #counts = { answered: 0, unsent: 0, ignored: 0, tooMany: 0, short: 0 };

  /** Opens nothing: `apply` does. */
  constructor(options: StunServerOptions) {
    this.#options = options;
    this.#responder = new StunResponder(options.nowMs());
    options.signal.addEventListener("abort", () => this.#keep(new Set()), { once: true });
  }

  get counts(): StunCounts {
    return { ...this.#counts };
  }

  /** Where it listens. */
  get endpoints(): readonly Endpoint[] {
    return [...this.#sockets.values()].map(({ endpoint }) => endpoint);
  }

  /**
   * Serves exactly these from now on; what is open and stays is not touched. Returns what could not be opened; applying
   * the same again tries it again.
   */
  apply(sites: readonly StunSite[]): readonly EntryError[] {
    if (this.#options.signal.aborted) return [];
    const { port, alternatePort } = this.#options;
    this.#others.clear();
    for (const { address, other } of sites) this.#others.set(address, other);
    const ports = alternatePort === null ? [port] : [port, alternatePort];
    const wanted = sites.map(({ address }) => ports.map((one) => ({ address, port: one })));
    this.#keep(new Set(wanted.flat().map(formatEndpoint)));
    const failures: EntryError[] = [];
    for (const endpoints of wanted) {
      for (const endpoint of endpoints) {
        const opened = this.#open(endpoint);
        if (opened.ok) continue;
        failures.push(opened.error);
        // The second port is of no use without the first.
        break;
      }
    }
    return failures;
  }

  #open(endpoint: Endpoint): Result<null, EntryError> {
    const { address, port } = endpoint;
    if (this.#socketAt(address, port) !== undefined) return ok(null);
    const { sharing } = this.#options;
    const beside = sharing?.isBeside("udp", port) ?? false;
    const bound = (beside ? bindBesideUdp : bindUdp)(address, port, {
      data: (_socket, datagram, fromPort, from) =>
        this.#received(datagram, { address: canonicalPeer(from), port: fromPort }, endpoint),
      // An ICMP answer to an earlier answer: that client has gone.
      error: () => undefined,
    });
    if (!bound.ok) return err(entryError(bound.error, "udp", address, port));
    if (beside) sharing?.steerHere(bound.value);
    this.#sockets.set(formatEndpoint(endpoint), { endpoint, socket: bound.value });
    return ok(null);
  }

  /** Lets another process of this program answer at its ports too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean {
    const { sharing } = this.#options;
    return [...this.#sockets.values()].every(({ socket }) => sharing?.setSharedUdp(socket, shared) ?? false);
  }

  #received(datagram: Uint8Array, from: Endpoint, self: Endpoint): void {
    const reply = this.#responder.answer(datagram, from, this.#placeOf(self), this.#options.nowMs());
    if (reply.kind === "silence") {
      this.#counts[reply.why]++;
      return;
    }
    const socket = this.#socketAt(reply.from.address, reply.from.port);
    const sent = socket !== undefined && sendDatagram(socket, reply.bytes, from);
    this.#counts[sent ? "answered" : "unsent"]++;
  }

  /** As much of it as is open: RFC 5780 §6 wants the same two ports at both addresses. */
  #placeOf(self: Endpoint): StunPlace {
    const { port, alternatePort } = this.#options;
    const otherPort = self.port === port ? alternatePort : port;
    const other = this.#others.get(self.address) ?? null;
    const isOpen = (address: string | null, one: number | null) =>
      address !== null && one !== null && this.#socketAt(address, one) !== undefined;
    const hasPort = isOpen(self.address, otherPort);
    return {
      self,
      otherAddress: hasPort && isOpen(other, self.port) && isOpen(other, otherPort) ? other : null,
      otherPort: hasPort ? otherPort : null,
    };
  }

  #socketAt(address: string, port: number): UdpSocket | undefined {
    return this.#sockets.get(formatEndpoint({ address, port }))?.socket;
  }

  /** Closes all others. */
  #keep(wanted: ReadonlySet<string>): void {
    for (const [key, { socket }] of this.#sockets) {
      if (wanted.has(key)) continue;
      socket.close();
      this.#sockets.delete(key);
    }
  }
}
