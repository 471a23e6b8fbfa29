import type { SecureContext } from "node:tls";
import { Pending } from "../../core/pending.ts";
import { ForwardCounters } from "../../dataplanes/io/counters.ts";
import type { PlainEnd, Visit } from "../../dataplanes/io/ends.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { Listener, Listeners } from "../../dataplanes/io/listeners.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { GateHost, ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { tcpListeners } from "../../dataplanes/io/tcp-entry.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { ok, type Result } from "../../wire/result.ts";
import { Clients } from "../proxy/clients.ts";
import { type NamesContext, takePlace } from "./context.ts";
import { H2Server } from "./h2-session.ts";
import { type PlainArrival, receiveHttp } from "./http-arrival.ts";
import { LoginGuard } from "./logins.ts";
import { Proofs } from "./proofs.ts";
import { Sites } from "./sites.ts";
import { receiveTls } from "./tls-arrival.ts";

/** Visitors who have not said whom they want: of all, of one source, and from when on a lot is drawn (core/pending.ts). */
const PENDING = { total: 4_096, perSource: 256, earlyFrom: 2_048 } as const;

export interface NamesServerOptions {
  readonly sweeper: Sweeper;
  /** Where load balancers say who the visitors are; absent = visitors are whom sockets show. */
  readonly gate?: ProxyGate;
  /** With other processes of this program; absent = it shares its ports with none. */
  readonly sharing?: PortSharing;
  /** See NamesContext. */
  certificate(name: string): SecureContext | null;
  unexpected(error: unknown): void;
}

/** Listens for the visitors of several sites on one port of each kind, and tells them apart by name. */
export class NamesServer {
  readonly sites = new Sites();
  readonly proofs = new Proofs();
  /** By name: where people are sent who come by plain HTTP to a name of the relay's own. */
  readonly homes = new Map<string, () => string>();
  readonly #options: NamesServerOptions;
  readonly #clients: Clients;
  readonly #context: NamesContext;
  #h2: H2Server | null = null;
  /** Those who came to no site. */
  readonly #refused = new ForwardCounters();
  #http: Listeners<Listener> | null = null;
  #https: Listeners<Listener> | null = null;
  /** Another process may have all who come. */
  #isShared = false;

  constructor(options: NamesServerOptions) {
    const { sweeper } = options;
    this.#options = options;
    this.#clients = new Clients(sweeper);
    this.#context = {
      sites: this.sites,
      clients: this.#clients,
      logins: new LoginGuard(this.#clients, () => sweeper.nowMs()),
      pending: new Pending(PENDING),
      sweeper,
      proofs: this.proofs,
      homes: this.homes,
      certificate: (name) => options.certificate(name),
      unexpected: (error) => options.unexpected(error),
    };
  }

  /** The ports that visitors come by; null = that kind is not open. */
  get ports(): { readonly http: number | null; readonly https: number | null } {
    return { http: portOf(this.#http), https: portOf(this.#https) };
  }

  /** It listens, and who comes now comes to this process. */
  get isFound(): boolean {
    return !this.#isShared && (this.#http !== null || this.#https !== null);
  }

  openHttp(listen: HostPort): Result<null, EntryError> {
    const opened = this.#listen(listen, (arrival) => receiveHttp(this.#context, { ...arrival, named: null }));
    if (opened.ok) this.#http = opened.value;
    return opened.ok ? ok(null) : opened;
  }

  openHttps(listen: HostPort): Result<null, EntryError> {
    const h2 = new H2Server(this.#context);
    const opened = this.#listen(listen, (arrival) => receiveTls(this.#context, h2, arrival));
    if (opened.ok) {
      this.#https = opened.value;
      this.#h2 = h2;
    } else h2.close();
    return opened.ok ? ok(null) : opened;
  }

  /** Lets another process of this program listen at its ports too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean {
    this.#isShared = shared;
    const listeners = [this.#http, this.#https].flatMap((kind) => kind?.ports ?? []);
    return listeners.every((listener) => listener.setShared(shared));
  }

  /** Nobody new comes in. */
  drain(): void {
    this.#http?.close();
    this.#https?.close();
    this.#h2?.drain();
  }

  /** After that: resolves when all who came by HTTP/2 have what they asked for. */
  async drained(): Promise<void> {
    await this.#h2?.drained();
  }

  close(): void {
    this.drain();
    this.#h2?.close();
    this.#clients.close();
  }

  #listen({ host, port }: HostPort, receive: (arrival: PlainArrival) => void): Result<Listeners<Listener>, EntryError> {
    const come = (client: PlainEnd, visit: Visit) => {
      const leavePlace = takePlace(this.#context, visit.visitor.address);
      if (leavePlace === null) client.reset("connectionLimit");
      else receive({ client, visit, leavePlace });
    };
    const { gate, sweeper } = this.#options;
    const atGate: GateHost<PlainEnd> = { counters: this.#refused, receive: come };
    const onVisitor = (client: PlainEnd, visit: Visit) => {
      if (sweeper.descriptors.scarce) client.reset("resources");
      else if (gate?.active === true) gate.receive(client, visit, atGate);
      else come(client, visit);
    };
    const listeners = tcpListeners(host, onVisitor, sweeper, this.#options.sharing ?? null);
    const opened = listeners.open(new Set([port]));
    return opened.ok ? ok(listeners) : opened;
  }
}

function portOf(listeners: Listeners<Listener> | null): number | null {
  return listeners?.ports[0]?.endpoint.port ?? null;
}
