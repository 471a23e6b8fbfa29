import {
  type ConnectParser,
  connectStatusFor,
  encodeConnectResponse,
  newConnectParser,
  type ProxyAuthorization,
} from "../../wire/http-connect.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { Answer } from "./asking-end.ts";
import { type Credentials, sameCredentials } from "./credentials.ts";
import type { Dialogue, Step } from "./dialogue.ts";

const ANSWER: Answer = {
  granted: () => encodeConnectResponse(200),
  refused: (reason) => encodeConnectResponse(connectStatusFor(reason), `The destination was not reached: ${reason}.`),
};

/** HTTP CONNECT (RFC 9110 §9.3.6). */
export class ConnectDialogue implements Dialogue {
  readonly #parser: ConnectParser = newConnectParser();

  constructor(readonly credentials: Credentials | null) {}

  feed(bytes: Uint8Array): Step {
    const parsed = this.#parser.push(bytes);
    if (!parsed.ok) {
      const { status, message } = parsed.error;
      return refuse("protocolError", encodeConnectResponse(status, message));
    }
    if (parsed.value === null) return { reply: null, next: null, credentials: null };
    const { request, rest } = parsed.value;
    const credentials = this.#judge(request.authorization);
    if (this.credentials !== null && credentials !== "right") {
      const reply = encodeConnectResponse(407, "This proxy wants a user name and a password.");
      return { ...refuse("policy", reply), credentials };
    }
    return { reply: null, next: { kind: "connect", to: request.target, answer: ANSWER, rest }, credentials };
  }

  /** Browsers ask without credentials first: that is no wrong guess. */
  #judge(given: ProxyAuthorization): Step["credentials"] {
    if (this.credentials === null || given.kind === "none") return null;
    return given.kind === "basic" && sameCredentials(this.credentials, given) ? "right" : "wrong";
  }
}

function refuse(reason: ReasonName, reply: Uint8Array): Step {
  return { reply, next: { kind: "refuse", reason }, credentials: null };
}
