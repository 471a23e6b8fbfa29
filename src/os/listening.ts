import { readFileSync } from "node:fs";
import { errorCode } from "./errors.ts";

/** A port on which a program of this machine waits for visitors. */
export interface ListeningPort {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** As /proc writes it: hexadecimal, in the machine's byte order. */
  readonly rawAddress: string;
}

/** `st` of /proc/net/tcp and /proc/net/udp (proc(5)). */
const STATES = { tcp: "0A", udp: "07" } as const;
const LOOPBACK = /^(?:[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F)$/;

/** What listens here now, for the outside or a part of it: what only this machine itself reaches is left out. Linux only. */
export function listeningPorts(read: (table: string) => string = readTable): ListeningPort[] {
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    [protocol, `${protocol}6`].flatMap((table) => parseTable(protocol, read(table))),
  );
}

function parseTable(protocol: "tcp" | "udp", text: string): ListeningPort[] {
  return text.split("\n").flatMap((row) => {
    const [, local, , state] = row.trim().split(/\s+/);
    const [rawAddress, port] = local?.split(":") ?? [];
    if (state !== STATES[protocol] || rawAddress === undefined || port === undefined) return [];
    return LOOPBACK.test(rawAddress) ? [] : [{ protocol, port: Number.parseInt(port, 16), rawAddress }];
  });
}

/** A kernel without IPv6 has no such table. */
function readTable(table: string): string {
  try {
    return readFileSync(`/proc/net/${table}`, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  }
}
