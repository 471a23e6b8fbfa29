import type { HostPort } from "../../wire/endpoint.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import { type KeyLine, keyProblem, parseKeyText } from "../../wire/ssh/public-key.ts";

const SSH_PORT = 22;
const USUAL_PORT = 8_080;

/** `ssh -p 2222 -N -R 8080:localhost:80 relay.example`. `ports`: what the device may open; null = all of its account's. */
export function sshCommand({ host, port }: HostPort, ports: string | null): string {
  const at = port === SSH_PORT ? "" : `-p ${port} `;
  return `ssh ${at}-N -R ${firstPort(ports)}:localhost:80 ${host}`;
}

/** One that it may have: people try what they see. */
function firstPort(ports: string | null): number {
  const set = ports === null ? null : parsePortSet(ports);
  if (set?.ok !== true) return USUAL_PORT;
  const tcp = set.value.ranges.filter(({ protocol }) => protocol !== "udp");
  const isUsual = tcp.some(({ first, last }) => first <= USUAL_PORT && USUAL_PORT <= last);
  // 0 = the relay chooses.
  return isUsual ? USUAL_PORT : (tcp[0]?.first ?? 0);
}

export type ReadKey =
  | { readonly kind: "none" }
  | { readonly kind: "key"; readonly line: KeyLine }
  /** `isPrivate`: it is to leave the page at once. */
  | { readonly kind: "wrong"; readonly message: string; readonly isPrivate: boolean };

/** What somebody pasted, before anything of it is sent. */
export function readKey(text: string): ReadKey {
  if (text.trim() === "") return { kind: "none" };
  const parsed = parseKeyText(text.trim());
  if (parsed.ok) return { kind: "key", line: parsed.value };
  const isPrivate = parsed.error.kind === "not-public" && parsed.error.found === "private";
  return { kind: "wrong", message: keyProblem(parsed.error), isPrivate };
}
