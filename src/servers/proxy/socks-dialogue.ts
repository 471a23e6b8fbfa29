import type { Result } from "../../wire/result.ts";
import {
  encodeSocks4Reply,
  encodeSocks5Method,
  encodeSocks5Reply,
  encodeSocksCredentialsReply,
  encodeSocksErrorReply,
  encodeSocksRefusal,
  newSocksServerParser,
  SOCKS4_VERSION,
  Socks4Reply,
  Socks5Reply,
  type SocksCredentials,
  type SocksError,
  type SocksMessage,
  SocksMethod,
  type SocksMethodCode,
  type SocksRequest,
  type SocksServerParser,
} from "../../wire/socks.ts";
import type { Answer } from "./asking-end.ts";
import { type Credentials, sameCredentials } from "./credentials.ts";
import type { Dialogue, Next, Step } from "./dialogue.ts";

const ANSWERS: Readonly<Record<4 | 5, Answer>> = {
  4: {
    granted: () => encodeSocks4Reply(Socks4Reply.granted, null),
    refused: (reason) => encodeSocksRefusal(4, reason),
  },
  5: {
    granted: () => encodeSocks5Reply(Socks5Reply.succeeded, null),
    refused: (reason) => encodeSocksRefusal(5, reason),
  },
};

/** SOCKS 4, 4a and 5 (RFC 1928) with user name and password (RFC 1929). */
export class SocksDialogue implements Dialogue {
  readonly #parser: SocksServerParser = newSocksServerParser();
  #judged: Step["credentials"] = null;

  constructor(readonly credentials: Credentials | null) {}

  feed(bytes: Uint8Array): Step {
    // A client may send greeting, credentials and request in one segment: the replies go out together.
    const replies: Uint8Array[] = [];
    this.#judged = null;
    const next = this.#advance(this.#parser.push(bytes), replies);
    return { reply: replies.length === 0 ? null : Buffer.concat(replies), next, credentials: this.#judged };
  }

  #advance(parsed: Result<SocksMessage | null, SocksError>, replies: Uint8Array[]): Next | null {
    if (!parsed.ok) {
      const reply = encodeSocksErrorReply(this.#parser.version(), parsed.error);
      if (reply !== null) replies.push(reply);
      return { kind: "refuse", reason: "protocolError" };
    }
    const message = parsed.value;
    if (message === null) return null;
    switch (message.kind) {
      case "greeting":
        return this.#greeted(message.methods, replies);
      case "credentials":
        return this.#identified(message.credentials, replies);
      case "request":
        return this.#asked(message.request, replies);
      default:
        return message satisfies never;
    }
  }

  #greeted(methods: readonly number[], replies: Uint8Array[]): Next | null {
    const method = this.#choose(methods);
    replies.push(encodeSocks5Method(method));
    if (method === SocksMethod.unacceptable) return { kind: "refuse", reason: "policy" };
    return this.#advance(this.#parser.expect(method === SocksMethod.none ? "request" : "credentials"), replies);
  }

  #choose(methods: readonly number[]): SocksMethodCode {
    if (this.credentials === null && methods.includes(SocksMethod.none)) return SocksMethod.none;
    return methods.includes(SocksMethod.usernamePassword) ? SocksMethod.usernamePassword : SocksMethod.unacceptable;
  }

  #identified(given: SocksCredentials, replies: Uint8Array[]): Next | null {
    // A proxy that asks for nobody takes anybody: some clients offer credentials only.
    const right = this.credentials === null || sameCredentials(this.credentials, given);
    if (this.credentials !== null) this.#judged = right ? "right" : "wrong";
    replies.push(encodeSocksCredentialsReply(right));
    return right ? this.#advance(this.#parser.expect("request"), replies) : { kind: "refuse", reason: "policy" };
  }

  #asked(request: SocksRequest, replies: Uint8Array[]): Next {
    const { version, command, destination } = request;
    // The user id of SOCKS 4 proves nothing.
    if (version === SOCKS4_VERSION && this.credentials !== null) {
      replies.push(encodeSocksRefusal(version, "policy"));
      return { kind: "refuse", reason: "policy" };
    }
    switch (command) {
      case "connect":
        return { kind: "connect", to: destination, answer: ANSWERS[version], rest: this.#parser.rest() };
      case "udp-associate":
        return { kind: "associate", from: destination };
      case "bind":
        replies.push(
          version === SOCKS4_VERSION
            ? encodeSocksRefusal(version, "policy")
            : encodeSocks5Reply(Socks5Reply.commandNotSupported, null),
        );
        return { kind: "refuse", reason: "protocolError" };
      default:
        return command satisfies never;
    }
  }
}
