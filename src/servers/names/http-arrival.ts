import { type Asker, judgeRequest, originForm, type RequestRefusal, siteOfRequest } from "../../core/names/request.ts";
import { type ByteEnd, type ByteSink, HOLD_BYTES, type PlainEnd, type Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import type { Admission } from "../../dataplanes/io/visits.ts";
import { challengeToken } from "../../wire/acme/messages.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { type Field, HeadReader, parseRequestHead, type RequestHead } from "../../wire/http1/head.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { err } from "../../wire/result.ts";
import type { Impatient } from "../proxy/clients.ts";
import type { NamesContext } from "./context.ts";
import { faultOf, Http1Front, type Judgement, type JudgeRequest } from "./http1-front.ts";
import { pageBytes, refusalOf, UNFINISHED } from "./page.ts";
import type { Site } from "./sites.ts";

const HTTPS_PORT = 443;
const UNKNOWN: RequestRefusal = { status: 404, sentence: "There is no site of this name here." };
/** RFC 9110 §15.5.20: a browser that reuses a connection for another name tries again on one of its own. */
export const MISDIRECTED: RequestRefusal = { status: 421, sentence: "This connection is for another name." };

/** Whom a visitor named in its TLS, and as what it was let in there. */
export interface Named {
  readonly name: string;
  readonly site: Site;
  readonly admission: Admission;
}

export interface Arrival {
  readonly client: ByteEnd;
  /** By the listener's port. */
  readonly visit: Visit;
  /** Null = it came by plain HTTP. */
  readonly named: Named | null;
  /** Gives up its place among those who have not asked yet. */
  readonly leavePlace: () => void;
}

/** It has yet to say whether it goes on by TLS. */
export interface PlainArrival extends Omit<Arrival, "named"> {
  readonly client: PlainEnd;
}

/** Reads the first request of a connection that speaks HTTP/1, and hands it to the site that it is for. */
export function receiveHttp(context: NamesContext, arrival: Arrival): void {
  const reading = new FirstRequest(context, arrival);
  arrival.client.sink = reading;
  context.clients.add(reading);
}

class FirstRequest implements ByteSink, Impatient {
  readonly #head = new HeadReader();
  /** Of the request, once it is read. */
  #method: string | null = null;
  #left = false;
  /** Let in at the first request; by TLS it was already. */
  #admitted: Admission | null = null;
  /** What comes while a password is being checked; reading is paused, so it is little. */
  #waiting: Uint8Array[] | null = null;

  constructor(
    readonly context: NamesContext,
    readonly arrival: Arrival,
  ) {}

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    if (this.#left) return;
    if (this.#waiting !== null) {
      // A copy: of a Buffer, slice() would be none.
      this.#waiting.push(new Uint8Array(bytes));
      return;
    }
    const read = this.#head.feed(bytes);
    if (read === null) return;
    if (!read.ok) {
      this.#refuse(faultOf(read.error));
      return;
    }
    const head = parseRequestHead(read.value.head);
    if (head.ok) this.#take(head.value, read.value.rest);
    else this.#refuse(faultOf(head.error));
  }

  onDrain(): void {}

  onEnd(): void {
    this.#bidFarewell(null);
  }

  onClose(_reason: ReasonName | null): void {
    this.#leave();
  }

  expired(): void {
    if (this.#head.isEmpty) this.arrival.client.reset("idle");
    else this.#refuse(UNFINISHED);
  }

  closed(): void {
    this.arrival.client.reset("shutdown");
  }

  #take(head: RequestHead, rest: Uint8Array): void {
    const { context, arrival } = this;
    const { named, visit } = arrival;
    this.#method = head.method;
    const proof = named === null ? this.#challenge(head) : null;
    if (proof !== null) {
      this.#refuse({ status: 200, sentence: proof });
      return;
    }
    const name = siteOfRequest(head);
    if (!name.ok) {
      this.#refuse(name.error);
      return;
    }
    if (named !== null && named.name !== name.value) {
      this.#refuse(MISDIRECTED);
      return;
    }
    const home = named === null ? context.homes.get(name.value) : undefined;
    if (home !== undefined) {
      this.#moved(home(), "The console is by HTTPS only.");
      return;
    }
    const site = named?.site ?? context.sites.find(name.value);
    if (site === null) {
      this.#refuse(UNKNOWN);
      return;
    }
    if (named === null && site.spec.tls !== "off") {
      this.#sendToHttps(head, name.value, site);
      return;
    }
    const admission = named?.admission ?? site.host.admit(visit.visitor);
    if (typeof admission === "string") {
      site.host.visits.counters.countRefused(admission);
      this.#refuse(refusalOf(admission));
      return;
    }
    const judge = judgeFor(context, { name: name.value, site, admission }, arrival);
    this.#admitted = admission;
    const first = judge(head);
    if (!(first instanceof Promise)) {
      this.#begin(judge, site, admission, first, rest);
      return;
    }
    this.context.clients.remove(this);
    this.#waiting = [new Uint8Array(rest)];
    arrival.client.backlog(HOLD_BYTES);
    first
      .then((judged) => {
        if (!this.#left) this.#begin(judge, site, admission, judged, Buffer.concat(this.#waiting ?? []));
      })
      .catch((error: unknown) => {
        arrival.client.reset("resources");
        context.unexpected(error);
      });
  }

  #begin(judge: JudgeRequest, site: Site, admission: Admission, first: Judgement, rest: Uint8Array): void {
    const { context, arrival } = this;
    const { visit } = arrival;
    if (!first.ok) {
      this.#refuse(first.error);
      return;
    }
    this.#handOver();
    arrival.client.backlog(0);
    const front = new Http1Front(site.host.shape(arrival.client), context.clients, judge);
    const visitOfSite = { ...visit, externalPort: site.externalPort };
    join(front, site.host.connect(visitOfSite), visitOfSite, site.host.visits, admission);
    front.begin(first.value, rest);
  }

  #challenge({ method, target }: RequestHead): string | null {
    const token = method === "GET" ? challengeToken(target) : null;
    return token === null ? null : this.context.proofs.ofToken(token);
  }

  #sendToHttps(head: RequestHead, name: string, { externalPort }: Site): void {
    const path = originForm(head.target) ?? "/";
    const place = externalPort === HTTPS_PORT ? name : formatHostPort(name, externalPort);
    this.#moved(`https://${place}${path === "*" ? "/" : path}`, "This site is by HTTPS only.");
  }

  #moved(location: string, sentence: string): void {
    this.#refuse({ status: 308, sentence }, [{ name: "Location", value: location }]);
  }

  #refuse(refusal: RequestRefusal, more: readonly Field[] = []): void {
    this.#bidFarewell(pageBytes(refusal, this.#method, more));
  }

  #bidFarewell(words: Uint8Array | null): void {
    const { client } = this.arrival;
    this.#leave();
    this.context.clients.bidFarewell(client, words);
  }

  /** It goes without having come to a site. */
  #leave(): void {
    const { named, visit } = this.arrival;
    if (!this.#left) (named?.admission ?? this.#admitted)?.leave(visit.visitor.address);
    this.#handOver();
  }

  #handOver(): void {
    this.#left = true;
    this.context.clients.remove(this);
    this.arrival.leavePlace();
  }
}

/** One connection is for one name: routed by it, let in by it, and nothing else comes by it. */
function judgeFor(context: NamesContext, { name, site }: Named, { visit, named }: Arrival): JudgeRequest {
  const asker = { address: visit.visitor.address, scheme: named === null ? ("http" as const) : ("https" as const) };
  return (head) => judgeNamed(context, head, name, site, asker);
}

/** A request of a connection that is for `name`: the same for HTTP/1 and HTTP/2. */
export function judgeNamed(
  { sites, logins }: NamesContext,
  head: RequestHead,
  name: string,
  site: Site,
  asker: Asker,
): Judgement | Promise<Judgement> {
  const wanted = siteOfRequest(head);
  if (!wanted.ok) return wanted;
  const present = sites.find(name);
  if (wanted.value !== name || present?.host !== site.host) return err(MISDIRECTED);
  const { logins: known } = present.spec;
  const judged = judgeRequest(head, name, asker, known.length > 0);
  if (!judged.ok || known.length === 0) return judged;
  const checked = logins.check(known, head.fields, asker.address);
  if (!(checked instanceof Promise)) return checked === null ? judged : err(checked);
  return checked.then((refusal) => (refusal === null ? judged : err(refusal)));
}
