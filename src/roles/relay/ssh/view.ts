import type { ForwardCounters } from "../../../dataplanes/io/counters.ts";
import type { TextView } from "../../../servers/ssh/text-session.ts";
import { formatBytes } from "../../../wire/byte-words.ts";
import { formatHostPort } from "../../../wire/endpoint.ts";
import { printable } from "../../../wire/igd/printable.ts";
import type { ConnectedClient, ServedForward } from "./model.ts";

/** What is shown, asked each time. */
export interface Viewed {
  readonly client: Pick<ConnectedClient, "device" | "forwards">;
  publicHost(): string;
  sockets(): readonly string[];
  countersOf(served: ServedForward): ForwardCounters | undefined;
}

/** What the sessions of one connection show. */
export function clientView(viewed: Viewed): TextView {
  return { lines: () => lines(viewed), counters: () => counters(viewed) };
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

function counters({ client, countersOf }: Viewed): string {
  const all = [...client.forwards.values()].flatMap((served) => countersOf(served) ?? []);
  const sum = (of: (one: ForwardCounters) => number) => all.reduce((total, one) => total + of(one), 0);
  const visitors = `${sum((one) => one.visitorsTotal)} visitors, ${sum((one) => one.visitorsOpen)} now`;
  return `${visitors}; ${formatBytes(sum((one) => one.bytesIn))} in, ${formatBytes(sum((one) => one.bytesOut))} out`;
}
