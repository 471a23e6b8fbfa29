import type { TextView } from "../../../servers/ssh/text-session.ts";
import { formatBytes } from "../../../wire/byte-words.ts";
import { formatHostPort } from "../../../wire/endpoint.ts";
import { printable } from "../../../wire/igd/printable.ts";
import type { SshClient } from "./client.ts";

/** What the sessions of one connection show. */
export function clientView(client: SshClient): TextView {
  return { lines: () => lines(client), counters: () => counters(client) };
}

function lines(client: SshClient): string[] {
  const { device, forwards, connection, hub } = client;
  const host = hub.options.publicHost(connection.localAddress);
  const open = [...forwards.values()].map(({ port }) => `  ${formatHostPort(host, port)}/tcp`);
  const sockets = hub.options.sockets.namesOf(client).map((name) => `  /${name}`);
  const head = `This is Hatchway. You are the device ${printable(device.peer.name)}.`;
  if (open.length + sockets.length === 0) {
    return [head, "No port is open for you: ask for one with ssh -R 8080:localhost:80."];
  }
  return [head, "Open, and leading to you:", ...open, ...sockets];
}

function counters(client: SshClient): string {
  const all = [...client.forwards.values()].flatMap((served) => client.entryOf(served)?.entry?.visits.counters ?? []);
  const sum = (of: (one: (typeof all)[number]) => number) => all.reduce((total, one) => total + of(one), 0);
  const visitors = `${sum((one) => one.visitorsTotal)} visitors, ${sum((one) => one.visitorsOpen)} now`;
  return `${visitors}; ${formatBytes(sum((one) => one.bytesIn))} in, ${formatBytes(sum((one) => one.bytesOut))} out`;
}
