import type { ForwardCounters } from "../../../dataplanes/io/counters.ts";
import type { TextView } from "../../../servers/ssh/text-session.ts";
import { formatBytes } from "../../../wire/byte-words.ts";
import { formatHostPort } from "../../../wire/endpoint.ts";
import { printable } from "../../../wire/igd/printable.ts";
import type { ConnectedClient } from "./model.ts";

/** What the forwards of one connection counted together. */
export type Traffic = Readonly<Pick<ForwardCounters, "visitorsTotal" | "visitorsOpen" | "bytesIn" | "bytesOut">>;

export const NO_TRAFFIC: Traffic = { visitorsTotal: 0, visitorsOpen: 0, bytesIn: 0, bytesOut: 0 };

export function sumTraffic(all: readonly Traffic[]): Traffic {
  const sum = (of: (one: Traffic) => number) => all.reduce((total, one) => total + of(one), 0);
  return {
    visitorsTotal: sum((one) => one.visitorsTotal),
    visitorsOpen: sum((one) => one.visitorsOpen),
    bytesIn: sum((one) => one.bytesIn),
    bytesOut: sum((one) => one.bytesOut),
  };
}

/** What is shown, asked each time. */
export interface Viewed {
  readonly client: Pick<ConnectedClient, "device" | "forwards">;
  publicHost(): string;
  /** Their names. */
  sockets(): readonly string[];
  traffic(): Traffic;
}

/** What the sessions of one connection show. */
export function clientView(viewed: Viewed): TextView {
  return { lines: () => lines(viewed), counters: () => counters(viewed.traffic()) };
}

function lines({ client, publicHost, sockets }: Viewed): string[] {
  const host = publicHost();
  const open = [...client.forwards.values()].map(({ port }) => `  ${formatHostPort(host, port)}/tcp`);
  const named = sockets().map((name) => `  /${name}`);
  const head = `This is Hatchway. You are the device ${printable(client.device.peer.name)}.`;
  if (open.length + named.length === 0) {
    return [head, "No port is open for you: ask for one with ssh -R 8080:localhost:80."];
  }
  return [head, "Open, and leading to you:", ...open, ...named];
}

function counters({ visitorsTotal, visitorsOpen, bytesIn, bytesOut }: Traffic): string {
  const visitors = `${visitorsTotal} visitor${visitorsTotal === 1 ? "" : "s"}, ${visitorsOpen} now`;
  return `${visitors}; ${formatBytes(bytesIn)} in, ${formatBytes(bytesOut)} out`;
}
