import { errorCode } from "../../os/errors.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";

export type EntryErrorKind = "inUse" | "notPermitted" | "noAddress" | "resources" | "other";

/** Why an entry could not be opened. `message` is one sentence that names the port and says what to do. */
export interface EntryError {
  readonly kind: EntryErrorKind;
  readonly message: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** Classifies an error of bind(2) or listen(2). */
export function entryError(error: unknown, protocol: Protocol, bind: string, port: number): EntryError {
  const what = `${protocol.toUpperCase()} port ${port}`;
  const where = formatHostPort(bind, port);
  const code = errorCode(error);
  switch (code) {
    case "EADDRINUSE":
      return {
        kind: "inUse",
        message: `${what} is in use on ${bind === "*" ? "this machine" : bind}; stop the program that has it or choose another port.`,
        protocol,
        port,
      };
    case "EACCES":
    case "EPERM":
      return {
        kind: "notPermitted",
        message: `This user may not open ${what}; choose a port above 1023 or grant CAP_NET_BIND_SERVICE.`,
        protocol,
        port,
      };
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return {
        kind: "noAddress",
        message: `${bind} is not an address of this machine; listen on one that "ip address" shows, or on *.`,
        protocol,
        port,
      };
    case "EMFILE":
    case "ENFILE":
    case "ENOBUFS":
    case "ENOMEM":
      return {
        kind: "resources",
        message: `This process is out of file descriptors at ${what}; raise its limit (ulimit -n).`,
        protocol,
        port,
      };
    default:
      return { kind: "other", message: `${protocol}://${where} cannot be opened (${code ?? error}).`, protocol, port };
  }
}
