import { ADDRESS } from "../lab/namespaces.ts";

/**
 * The mappings that are asked for, numbered from 0: which client asks for mapping N, which of its ports it is for, and
 * which external port it wants. 200 clients, so that none of them exceeds what a gateway takes from one.
 */
export const CLIENTS = 200;
/** 20,000 of before, those that are added one by one, and 1,000 together: 106 ports a client. */
const FIRST_INTERNAL_PORT = 20_100;
export const INTERNAL_PORTS = 110;
const FIRST_EXTERNAL_PORT = 21_000;
const FIRST_HOST = 10;

export interface Wanted {
  readonly client: number;
  readonly internalPort: number;
  readonly externalPort: number;
}

export function wanted(number: number): Wanted {
  return {
    client: number % CLIENTS,
    internalPort: FIRST_INTERNAL_PORT + Math.floor(number / CLIENTS),
    externalPort: FIRST_EXTERNAL_PORT + number,
  };
}

export function clientAddress(client: number): string {
  return ADDRESS.agent.replace(/\.\d+$/, `.${FIRST_HOST + client}`);
}

export const internalPorts = (): number[] =>
  Array.from({ length: INTERNAL_PORTS }, (_, at) => FIRST_INTERNAL_PORT + at);

/** What a LAN host's service answers: so a visitor knows that it reached this port of this client, and no other. */
export function answerOf(address: string, port: number): string {
  return `${address}:${port}\n`;
}

/** One line from the bench to the clients: ask for so many mappings. */
export interface AskOrder {
  readonly first: number;
  readonly count: number;
  /** On their way at once. */
  readonly atOnce: number;
  readonly giveUpMs: number;
  /** As RFC 6886 §3.1 has it. Off, a slow answer is not made slower by the work that the repetition is. */
  readonly resend: boolean;
}

/** The clients' line back. */
export interface AskReport {
  /** From the first request to the last answer. */
  readonly totalMs: number;
  readonly answered: number;
  /** With another port than the one asked for, or with an error. */
  readonly refused: number;
  /** Requests that were sent again because no answer came. */
  readonly resent: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One line from the bench to the visitors: connect to these mappings. */
export interface VisitOrder {
  readonly first: number;
  readonly count: number;
}

export interface VisitReport {
  readonly reached: number;
  readonly totalMs: number;
  /** Why the first that failed did. */
  readonly problem: string | null;
}

/** Lines of JSON in, one line of JSON out for each, in their order. */
export async function serveOrders<O, R>(handle: (order: O) => Promise<R>): Promise<void> {
  console.log(JSON.stringify({ event: "ready" }));
  for await (const line of console) console.log(JSON.stringify(await handle(JSON.parse(line) as O)));
}
