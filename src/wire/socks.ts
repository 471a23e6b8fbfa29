import { newGather } from "./gather.ts";
import type { ReasonName } from "./reason.ts";
import { err, ok, type Result } from "./result.ts";
import type { DecodeStep, SocksError } from "./socks-error.ts";
import {
  decodeSocks4Request,
  encodeSocks4Reply,
  SOCKS4_VERSION,
  Socks4Reply,
  type Socks4ReplyCode,
  type Socks4Request,
} from "./socks4.ts";
import {
  decodeSocks5Greeting,
  decodeSocks5Request,
  decodeSocksCredentials,
  encodeSocks5Reply,
  encodeSocksCredentialsReply,
  SOCKS5_VERSION,
  Socks5Reply,
  type Socks5ReplyCode,
  type Socks5Request,
  type SocksCredentials,
} from "./socks5.ts";

export type { SocksError } from "./socks-error.ts";
export * from "./socks4.ts";
export * from "./socks5.ts";

export type SocksRequest = Socks4Request | Socks5Request;

export type SocksMessage =
  /** Answer with encodeSocks5Method, then tell the parser what to expect. */
  | { readonly kind: "greeting"; readonly methods: readonly number[] }
  /** Answer with encodeSocksCredentialsReply; expect("request") when they are right. */
  | { readonly kind: "credentials"; readonly credentials: SocksCredentials }
  /** The last message; answer with encodeSocksReply. */
  | { readonly kind: "request"; readonly request: SocksRequest };

/**
 * The server's side of a SOCKS 4, 4a or 5 client, fed as bytes arrive. It stops after each message that needs a
 * decision: nothing of a client that has not shown its credentials is read as a request. An error is final.
 */
export interface SocksServerParser {
  /** Adds bytes; the next message if it is complete. */
  push(chunk: Uint8Array): Result<SocksMessage | null, SocksError>;
  /** What comes next, after a greeting or right credentials; the message if the client has sent it already. */
  expect(stage: "credentials" | "request"): Result<SocksMessage | null, SocksError>;
  /** Bytes after the request: the client's first data. A view that is good until the next push. */
  rest(): Uint8Array;
  /** The version the client speaks; null before its first byte. */
  version(): 4 | 5 | null;
}

type Stage = "start" | "held" | "credentials" | "request" | "done" | "failed";

/** What a client may send ahead of its turn. The longest message has 520 bytes. */
const MAX_AHEAD_BYTES = 16_384;

export function newSocksServerParser(): SocksServerParser {
  const gathered = newGather();
  let stage: Stage = "start";
  let version: 4 | 5 | null = null;
  let failure: SocksError | null = null;

  function fail(error: SocksError): Result<never, SocksError> {
    stage = "failed";
    failure = error;
    return err(error);
  }

  function take<T>(
    decoded: DecodeStep<T>,
    next: Stage,
    message: (value: T) => SocksMessage,
  ): Result<SocksMessage | null, SocksError> {
    if (!decoded.ok) return fail(decoded.error);
    if (decoded.value === null) return ok(null);
    gathered.consume(decoded.value.length);
    stage = next;
    return ok(message(decoded.value.value));
  }

  const request = (value: SocksRequest): SocksMessage => ({ kind: "request", request: value });

  function advance(): Result<SocksMessage | null, SocksError> {
    const bytes = gathered.bytes();
    switch (stage) {
      case "start": {
        const first = bytes[0];
        if (first === undefined) return ok(null);
        if (first === SOCKS4_VERSION) {
          version = SOCKS4_VERSION;
          return take(decodeSocks4Request(bytes), "done", request);
        }
        if (first === SOCKS5_VERSION) version = SOCKS5_VERSION;
        return take(decodeSocks5Greeting(bytes), "held", (methods) => ({ kind: "greeting", methods }));
      }
      case "credentials":
        return take(decodeSocksCredentials(bytes), "held", (credentials) => ({ kind: "credentials", credentials }));
      case "request":
        return take(decodeSocks5Request(bytes), "done", request);
      case "held":
      case "done":
        return bytes.length > MAX_AHEAD_BYTES ? fail({ kind: "too-long" }) : ok(null);
      case "failed":
        return failure === null ? ok(null) : err(failure);
      default:
        return stage satisfies never;
    }
  }

  return {
    push(chunk) {
      if (stage !== "failed") gathered.append(chunk);
      return advance();
    },
    expect(next) {
      if (stage === "held") stage = next;
      return advance();
    },
    rest: () => gathered.bytes(),
    version: () => version,
  };
}

/** RFC 1928 §6 has few words; time-outs are told as `ttlExpired`, as other servers do. */
const SOCKS5_REPLIES: Readonly<Record<ReasonName, Socks5ReplyCode>> = {
  reset: Socks5Reply.generalFailure,
  serviceRefused: Socks5Reply.connectionRefused,
  serviceTimeout: Socks5Reply.ttlExpired,
  serviceUnreachable: Socks5Reply.hostUnreachable,
  hostNotFound: Socks5Reply.hostUnreachable,
  exitNotAllowed: Socks5Reply.notAllowed,
  policy: Socks5Reply.notAllowed,
  deviceAway: Socks5Reply.networkUnreachable,
  noForward: Socks5Reply.networkUnreachable,
  connectionLimit: Socks5Reply.notAllowed,
  rateLimit: Socks5Reply.notAllowed,
  sourceNotAllowed: Socks5Reply.notAllowed,
  unhealthy: Socks5Reply.hostUnreachable,
  idle: Socks5Reply.ttlExpired,
  killed: Socks5Reply.generalFailure,
  shutdown: Socks5Reply.generalFailure,
  carrierLost: Socks5Reply.networkUnreachable,
  protocolError: Socks5Reply.generalFailure,
  resources: Socks5Reply.generalFailure,
  proxyHeader: Socks5Reply.notAllowed,
};

export function socks5ReplyFor(reason: ReasonName): Socks5ReplyCode {
  return SOCKS5_REPLIES[reason];
}

/** What a client makes of a proxy's REP; null = the request was granted. The proxy's words are fewer than ours. */
export function reasonOfSocks5Reply(code: number): ReasonName | null {
  switch (code) {
    case Socks5Reply.succeeded:
      return null;
    case Socks5Reply.notAllowed:
      return "exitNotAllowed";
    case Socks5Reply.networkUnreachable:
    case Socks5Reply.hostUnreachable:
      return "serviceUnreachable";
    case Socks5Reply.connectionRefused:
      return "serviceRefused";
    case Socks5Reply.ttlExpired:
      return "serviceTimeout";
    case Socks5Reply.commandNotSupported:
    case Socks5Reply.addressTypeNotSupported:
      return "protocolError";
    default:
      return "reset";
  }
}

/** SOCKS 4 has one word for every refusal (92 and 93 are about identd). */
export function socks4ReplyFor(_reason: ReasonName): Socks4ReplyCode {
  return Socks4Reply.rejected;
}

/** The whole refusal of a request, in the client's version. */
export function encodeSocksRefusal(version: 4 | 5, reason: ReasonName): Uint8Array {
  return version === SOCKS4_VERSION
    ? encodeSocks4Reply(socks4ReplyFor(reason), null)
    : encodeSocks5Reply(socks5ReplyFor(reason), null);
}

/** What to answer before closing when a request cannot be read; null = the client does not await a reply now. */
export function encodeSocksErrorReply(version: 4 | 5 | null, error: SocksError): Uint8Array | null {
  if (version === null) return null;
  if (version === SOCKS4_VERSION) return encodeSocks4Reply(Socks4Reply.rejected, null);
  switch (error.kind) {
    case "command":
      return encodeSocks5Reply(Socks5Reply.commandNotSupported, null);
    case "address-type":
      return encodeSocks5Reply(Socks5Reply.addressTypeNotSupported, null);
    case "host":
      return encodeSocks5Reply(Socks5Reply.hostUnreachable, null);
    case "text":
    case "credentials-version":
      return encodeSocksCredentialsReply(false);
    case "version":
    case "too-long":
    case "truncated":
    case "fragment":
      return null;
    default:
      return error satisfies never;
  }
}
