import type { SecureContext } from "node:tls";
import type { ByteSink, Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import type { Admission } from "../../dataplanes/io/visits.ts";
import type { ReasonName } from "../../wire/reason.ts";
import {
  type AlertName,
  type ClientHello,
  type ClientHelloErrorKind,
  ClientHelloReader,
  encodeAlert,
} from "../../wire/tls/client-hello.ts";
import type { Impatient } from "../proxy/clients.ts";
import type { NamesContext } from "./context.ts";
import type { H2Server } from "./h2-session.ts";
import { type Arrival, type Named, type PlainArrival, receiveHttp } from "./http-arrival.ts";
import type { Site } from "./sites.ts";
import { proveByTls } from "./tls-proof.ts";

const HTTP1 = "http/1.1";
const HTTP2 = "h2";

/** Reads whom a TLS client wants, and hands it to that site as it is, or ends its TLS here. */
export function receiveTls(context: NamesContext, h2: H2Server, arrival: PlainArrival): void {
  const reading = new Hello(context, h2, arrival);
  arrival.client.sink = reading;
  context.clients.add(reading);
}

class Hello implements ByteSink, Impatient {
  readonly #reader = new ClientHelloReader();
  #left = false;

  constructor(
    readonly context: NamesContext,
    readonly h2: H2Server,
    readonly arrival: PlainArrival,
  ) {}

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    if (this.#left) return;
    const hello = this.#reader.feed(bytes);
    if (hello === null) return;
    if (hello.ok) this.#take(hello.value);
    else this.#refuse(alertOf(hello.error.kind));
  }

  onDrain(): void {}

  onEnd(): void {
    this.#refuse(null);
  }

  onClose(_reason: ReasonName | null): void {
    this.#leave();
  }

  expired(): void {
    this.arrival.client.reset("idle");
  }

  closed(): void {
    this.arrival.client.reset("shutdown");
  }

  #take({ serverName, protocols }: ClientHello): void {
    const { sites, proofs } = this.context;
    const { visit } = this.arrival;
    // With encrypted names (ECH) the outer one counts, which is all that is seen here; nobody's is refused.
    const site = serverName === null ? null : sites.find(serverName);
    // A service that has its own TLS proves its name itself: what is passed through is passed through.
    const proof = serverName === null || site?.spec.tls === "pass" ? null : proofs.ofHandshake(serverName, protocols);
    if (proof !== null) {
      this.#left = true;
      this.context.clients.remove(this);
      proveByTls(this.context, this.arrival, proof, this.#reader.bytes);
      return;
    }
    if (serverName === null || site === null || site.spec.tls === "off") {
      this.#refuse("unrecognizedName");
      return;
    }
    const context = site.spec.tls === "end" ? this.context.certificate(serverName) : null;
    if (site.spec.tls === "end" && context === null) {
      this.#refuse("internalError");
      return;
    }
    const admission = site.host.admit(visit.visitor);
    if (typeof admission === "string") {
      site.host.visits.counters.countRefused(admission);
      this.#refuse("accessDenied");
      return;
    }
    if (context === null) this.#pass(site, admission);
    else this.#end(site, serverName, admission, context, protocols);
  }

  #pass(site: Site, admission: Admission): void {
    const { client } = this.arrival;
    const visit: Visit = { ...this.arrival.visit, externalPort: site.externalPort };
    this.#leave();
    const shaped = site.host.shape(client);
    join(shaped, site.host.connect(visit), visit, site.host.visits, admission);
    shaped.sink.onData(this.#reader.bytes);
  }

  #end(site: Site, name: string, admission: Admission, context: SecureContext, protocols: readonly string[]): void {
    this.#left = true;
    this.context.clients.remove(this);
    const protocol = [HTTP2, HTTP1].find((spoken) => protocols.includes(spoken)) ?? null;
    // What the client offers and we do not speak ends the handshake (RFC 7301 §3.2); who offers nothing speaks HTTP/1.
    if (protocols.length > 0 && protocol === null) {
      admission.leave(this.arrival.visit.visitor.address);
      this.#say("noApplicationProtocol");
      return;
    }
    const handshake = new Handshake(this.context, this.h2, this.arrival, { name, site, admission }, protocol);
    handshake.begin(context, this.#reader.bytes);
  }

  #refuse(alert: AlertName | null): void {
    this.#leave();
    this.#say(alert);
  }

  #say(alert: AlertName | null): void {
    this.arrival.leavePlace();
    this.context.clients.bidFarewell(this.arrival.client, alert === null ? null : encodeAlert(alert));
  }

  #leave(): void {
    this.#left = true;
    this.context.clients.remove(this);
    this.arrival.leavePlace();
  }
}

/** A handshake that is under way: its time is limited like that of a request. */
class Handshake implements ByteSink, Impatient {
  constructor(
    readonly context: NamesContext,
    readonly h2: H2Server,
    readonly arrival: PlainArrival,
    readonly named: Named,
    readonly protocol: string | null,
  ) {}

  begin(context: SecureContext, hello: Uint8Array): void {
    const { client } = this.arrival;
    client.sink = this;
    this.context.clients.add(this);
    client.beginTls({ context, protocol: this.protocol }, hello);
  }

  onOpen(): void {
    this.context.clients.remove(this);
    const arrival: Arrival = { ...this.arrival, named: this.named };
    if (this.protocol === HTTP2) this.h2.receive(arrival, this.named);
    else receiveHttp(this.context, arrival);
  }

  onData(): void {}
  onDrain(): void {}

  onEnd(): void {
    this.arrival.client.reset("protocolError");
  }

  onClose(): void {
    this.context.clients.remove(this);
    this.arrival.leavePlace();
    this.named.admission.leave(this.arrival.visit.visitor.address);
    this.named.site.host.visits.counters.countRefused("protocolError");
  }

  expired(): void {
    this.arrival.client.reset("idle");
  }

  closed(): void {
    this.arrival.client.reset("shutdown");
  }
}

function alertOf(kind: ClientHelloErrorKind): AlertName | null {
  switch (kind) {
    case "not-tls":
      return null;
    case "malformed":
    case "too-long":
      return "decodeError";
    case "bad-name":
      return "unrecognizedName";
    default:
      return kind satisfies never;
  }
}
