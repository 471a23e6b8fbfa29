import type { MappingDesk } from "../../core/mapping/desk.ts";
import type { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { InsideInterface } from "../../core/mapping/inside.ts";
import { SourceRate } from "../../core/source-rate.ts";
import { systemSockets } from "../../dataplanes/io/system-sockets.ts";
import { type CidrSet, compileCidrs, isIpv6 } from "../../wire/address.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import { MAPPING_CLIENT_PORT, MAPPING_SERVER_PORT } from "../../wire/natpmp.ts";
import { MAX_MESSAGE_BYTES } from "../../wire/pcp/message.ts";
import type { InsideBindFailure } from "../inside-bind.ts";
import { Announcer } from "./announcer.ts";
import { askDesk } from "./ask.ts";
import { answerDatagram } from "./dialogue.ts";
import { addressAnswer } from "./natpmp-dialogue.ts";
import { announceAnswer } from "./pcp-dialogue.ts";
import type { PortMapRules } from "./reply.ts";
import { PortMapSocket } from "./socket.ts";
import { type TurnLimits, Turns } from "./turns.ts";

/** What a reload may change. */
export interface PortMapSettings extends PortMapRules {
  readonly interfaces: readonly InsideInterface[];
}

export interface PortMapServerOptions {
  readonly desk: MappingDesk;
  /** Says when to announce; what it has counted, the desk tells. */
  readonly epoch: ServerEpoch;
  /** Monotonic, the epoch's own clock. */
  nowMs(): number;
  /** Ends the server. */
  readonly signal: AbortSignal;
  /** The gateway itself failed at a request: for the log. The client has been told to ask again. */
  onFailure(error: unknown): void;
  /** Default 5351; 0 = any free one. */
  readonly port?: number;
  readonly turns?: TurnLimits;
}

/** Datagrams that came in, by what became of them. */
export interface PortMapCounts {
  readonly answered: number;
  /** Not from a network of the interface it came in by. */
  readonly offLink: number;
  /** Over the client's rate, or too many at work. */
  readonly tooMany: number;
  /** The same request was at work. */
  readonly repeated: number;
  /** Nothing that has an answer: a response, or too short. */
  readonly ignored: number;
}

/**
 * Requests a second from one address, and twice that at once. A host that maps 50 ports over both protocols sends 100
 * at its start; whoever is refused asks again after 250 ms.
 */
const REQUESTS_PER_SEC = 50;
/** On-link hosts may make up addresses (IPv6 has plenty): what is remembered of them stays small. */
const MAX_SOURCES = 4096;

/** RFC 6886 §3.2.1, RFC 6887 §14.1: all hosts of the link. */
const ALL_HOSTS = { v4: "224.0.0.1", v6: "ff02::1" } as const;

/** NAT-PMP (RFC 6886) and PCP (RFC 6887) on the inside interfaces of a gateway. */
export class PortMapServer {
  readonly #options: PortMapServerOptions;
  readonly #system = systemSockets();
  readonly #turns: Turns;
  readonly #rate = new SourceRate(REQUESTS_PER_SEC, MAX_SOURCES);
  readonly #announcer: Announcer;
  readonly #sockets = new Map<string, PortMapSocket>();
  readonly #networks = new Map<string, CidrSet>();
  #rules: PortMapRules = { natPmp: false, pcp: false, thirdParty: false };
  readonly #counts = { answered: 0, offLink: 0, tooMany: 0, repeated: 0, ignored: 0 };

  /** Opens nothing: `apply` does. */
  constructor(options: PortMapServerOptions) {
    this.#options = options;
    this.#turns = new Turns(options.turns);
    const { epoch, nowMs, signal } = options;
    this.#announcer = new Announcer({ epoch, nowMs, announce: () => this.#announce() });
    signal.addEventListener("abort", () => this.#close(), { once: true });
  }

  get counts(): PortMapCounts {
    return { ...this.#counts };
  }

  /** Where it listens. */
  get endpoints(): readonly Endpoint[] {
    return [...this.#sockets.values()].map(({ endpoint }) => endpoint);
  }

  /**
   * Serves exactly this from now on; what is open already and stays is not touched. Returns the addresses that could not
   * be opened; applying the same again tries them again, and follows an interface that was made anew (a tunnel's).
   */
  apply(settings: PortMapSettings): readonly InsideBindFailure[] {
    const { natPmp, pcp, thirdParty, interfaces } = settings;
    if (this.#options.signal.aborted) return [];
    this.#rules = { natPmp, pcp, thirdParty };
    this.#networks.clear();
    for (const { name, networks } of interfaces) this.#networks.set(name, compileCidrs(networks));
    const wanted = new Map<string, { readonly name: string; readonly address: string }>();
    for (const { name, addresses } of natPmp || pcp ? interfaces : []) {
      for (const address of addresses) wanted.set(`${name} ${address}`, { name, address });
    }
    for (const [key, socket] of this.#sockets) {
      const sameInterface = this.#system.interfaceIndex(socket.interfaceName) === socket.interfaceIndex;
      if (wanted.has(key) && sameInterface) continue;
      socket.close();
      this.#sockets.delete(key);
    }
    const failures: InsideBindFailure[] = [];
    for (const [key, { name, address }] of wanted) {
      if (this.#sockets.has(key)) continue;
      const opened = this.#open(name, address);
      if (opened.ok) this.#sockets.set(key, opened.value);
      else failures.push(opened.error);
    }
    this.#announcer.wake();
    return failures;
  }

  /** The epoch was reset: tells the clients. */
  announce(): void {
    this.#announcer.wake();
  }

  #open(name: string, address: string) {
    const port = this.#options.port ?? MAPPING_SERVER_PORT;
    return PortMapSocket.open(name, address, port, this.#system, (datagram, from, socket) =>
      this.#received(datagram, from, socket),
    );
  }

  #received(datagram: Uint8Array, from: Endpoint, socket: PortMapSocket): void {
    const { nowMs } = this.#options;
    if (this.#networks.get(socket.interfaceName)?.contains(from.address) !== true || from.port === 0) {
      this.#counts.offLink++;
      return;
    }
    if (!this.#rate.take(from.address, nowMs())) {
      this.#counts.tooMany++;
      return;
    }
    // A copy, because the socket uses its buffer again; one byte over the bound is as good as all.
    const request = datagram.slice(0, MAX_MESSAGE_BYTES + 1);
    const key = `${socket.interfaceName} ${socket.endpoint.address} ${from.port} ${request.toHex()}`;
    const outcome = this.#turns.take(from.address, key, () => this.#work(request, from, socket));
    if (outcome === "full") this.#counts.tooMany++;
    else if (outcome === "repeated") this.#counts.repeated++;
  }

  #work(request: Uint8Array, from: Endpoint, socket: PortMapSocket): Promise<void> | null {
    const { desk, onFailure } = this.#options;
    const reply = answerDatagram(request, from.address, desk, this.#rules);
    switch (reply.kind) {
      case "silence":
        this.#counts.ignored++;
        return null;
      case "answer":
        this.#send(reply.bytes, from, socket);
        return null;
      default:
        return askDesk(reply, desk, onFailure).then((bytes) => this.#send(bytes, from, socket));
    }
  }

  #send(bytes: Uint8Array, to: Endpoint, socket: PortMapSocket): void {
    if (socket.send(bytes, to)) this.#counts.answered++;
  }

  #announce(): void {
    const { desk } = this.#options;
    const { natPmp, pcp } = this.#rules;
    for (const socket of this.#sockets.values()) {
      const { address } = socket.endpoint;
      // Clients hear their gateway's own address only (RFC 6886 §3.2.1), which an anycast address is not.
      if (this.#networks.get(socket.interfaceName)?.contains(address) !== true) continue;
      const v6 = isIpv6(address);
      const to = { address: v6 ? ALL_HOSTS.v6 : ALL_HOSTS.v4, port: MAPPING_CLIENT_PORT };
      if (natPmp && !v6 && desk.externalAddress() !== null) socket.send(addressAnswer(desk), to);
      if (pcp) socket.send(announceAnswer(desk), to);
    }
  }

  #close(): void {
    this.#announcer.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}
