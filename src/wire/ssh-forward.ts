import { parseAddress } from "./address.ts";
import { ANY_HOST, formatHostPort, type HostPort, parseHost, parsePort } from "./endpoint.ts";
import { err, ok, type Result } from "./result.ts";
import type { TextError } from "./text-error.ts";

/** The options of ssh(1) that forward. */
export type SshFlag = "-L" | "-R" | "-D";

/** Where the entry listens: on the local side for -L and -D, on the relay for -R. */
export interface SshListen {
  /** An IP literal, or `*` for every address. Loopback when the text names none, as GatewayPorts=no has it. */
  readonly bind: string;
  /** False when `bind` is the default. */
  readonly bindGiven: boolean;
  /** 0 asks for any free port. */
  readonly port: number;
}

export type SshForward =
  | { readonly kind: "local" | "remote"; readonly listen: SshListen; readonly target: HostPort }
  /** -D, and -R without a target: a SOCKS entry whose destination is chosen per connection. */
  | { readonly kind: "dynamic" | "remote-dynamic"; readonly listen: SshListen };

const LOOPBACK = "127.0.0.1";

const FORMS = {
  "-L": "-L [BIND:]PORT:HOST:HOSTPORT",
  "-R": "-R [BIND:]PORT:HOST:HOSTPORT or -R [BIND:]PORT",
  "-D": "-D [BIND:]PORT",
} as const;

interface Field {
  /** Without the brackets. */
  readonly text: string;
  readonly offset: number;
  readonly bracketed: boolean;
}

/** Reads the argument of -L, -R or -D as ssh(1) writes it. `localhost` as bind address is 127.0.0.1; an empty one is `*`. */
export function parseSshForward(flag: SshFlag, text: string): Result<SshForward, TextError> {
  const split = splitFields(text);
  if (!split.ok) return split;
  const fields = split.value;
  const path = fields.find((field) => !field.bracketed && field.text.includes("/"));
  if (path !== undefined) {
    const message = "Unix sockets cannot be forwarded; write a port, or a host and a port.";
    return err({ message, offset: path.offset, length: path.text.length });
  }
  const listenOnly = fields.length <= 2;
  const withTarget = fields.length === 3 || fields.length === 4;
  if (flag === "-D" ? !listenOnly : !(withTarget || (flag === "-R" && listenOnly))) {
    return err({
      message: `Write ${FORMS[flag]}; an IPv6 address stands in brackets.`,
      offset: 0,
      length: text.length,
    });
  }
  const listen = readListen(listenOnly ? fields : fields.slice(0, -2));
  if (!listen.ok) return listen;
  if (listenOnly) return ok({ kind: flag === "-D" ? "dynamic" : "remote-dynamic", listen: listen.value });
  const target = readTarget(fields.slice(-2));
  if (!target.ok) return target;
  return ok({ kind: flag === "-L" ? "local" : "remote", listen: listen.value, target: target.value });
}

/** The argument in full, as parseSshForward reads it back. */
export function formatSshForward(forward: SshForward): string {
  const { bind, bindGiven, port } = forward.listen;
  const listen = bindGiven ? formatHostPort(bind, port) : `${port}`;
  return "target" in forward ? `${listen}:${formatHostPort(forward.target.host, forward.target.port)}` : listen;
}

/** Splits at colons outside brackets. */
function splitFields(text: string): Result<Field[], TextError> {
  const fields: Field[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === "[") {
      const close = text.indexOf("]", at);
      if (close < 0) return err({ message: 'Close the address with "]".', offset: at, length: text.length - at });
      fields.push({ text: text.slice(at + 1, close), offset: at + 1, bracketed: true });
      at = close + 1;
      if (at < text.length && text[at] !== ":") {
        return err({ message: 'Write ":" after "]".', offset: at, length: 1 });
      }
    } else {
      const colon = text.indexOf(":", at);
      const end = colon < 0 ? text.length : colon;
      fields.push({ text: text.slice(at, end), offset: at, bracketed: false });
      at = end;
    }
    if (at >= text.length) return ok(fields);
    at++;
  }
}

function readListen(fields: readonly Field[]): Result<SshListen, TextError> {
  const [bindField, portField] = fields.length === 2 ? fields : [undefined, fields[0]];
  const port = readPort(portField, true);
  if (!port.ok) return port;
  if (bindField === undefined) return ok({ bind: LOOPBACK, bindGiven: false, port: port.value });
  const bind = readBind(bindField);
  return bind.ok ? ok({ bind: bind.value, bindGiven: true, port: port.value }) : bind;
}

function readBind(field: Field): Result<string, TextError> {
  if (!field.bracketed && (field.text === "" || field.text === ANY_HOST)) return ok(ANY_HOST);
  if (field.text.toLowerCase() === "localhost") return ok(LOOPBACK);
  const address = parseAddress(field.text);
  if (address.ok) return address;
  const message = 'The bind address is an IP address, "localhost" or "*"; an IPv6 address stands in brackets.';
  return err({ message, offset: field.offset, length: field.text.length });
}

function readTarget(fields: readonly Field[]): Result<HostPort, TextError> {
  const [hostField, portField] = fields;
  const host = parseHost(hostField?.text ?? "");
  if (!host.ok) return err({ ...host.error, offset: host.error.offset + (hostField?.offset ?? 0) });
  const port = readPort(portField, false);
  return port.ok ? ok({ host: host.value, port: port.value }) : port;
}

function readPort(field: Field | undefined, allowZero: boolean): Result<number, TextError> {
  return parsePort(field?.text ?? "", field?.offset ?? 0, allowZero);
}
