import type { SecureContext } from "node:tls";
import { ACME_TLS_PROTOCOL } from "../../wire/acme/messages.ts";

/** What proves names to an ACME CA, while one asks. */
export class Proofs {
  readonly #byToken = new Map<string, string>();
  readonly #byName = new Map<string, SecureContext>();

  /** For http-01 (RFC 8555 section 8.3), until the returned function is called. */
  answerToken(token: string, keyAuthorization: string): () => void {
    return put(this.#byToken, token, keyAuthorization);
  }

  /** For tls-alpn-01 (RFC 8737): who asks for this name is shown this, until the returned function is called. */
  showIn(name: string, certificate: SecureContext): () => void {
    return put(this.#byName, name, certificate);
  }

  /** Null = there is no such token. */
  ofToken(token: string): string | null {
    return this.#byToken.get(token) ?? null;
  }

  /** `protocols`: all that the client offers. Null = it is no CA that asks, or for a name that nobody proves now. */
  ofHandshake(name: string, protocols: readonly string[]): SecureContext | null {
    if (protocols.length !== 1 || protocols[0] !== ACME_TLS_PROTOCOL) return null;
    return this.#byName.get(name) ?? null;
  }
}

function put<T>(map: Map<string, T>, key: string, value: T): () => void {
  map.set(key, value);
  return () => {
    if (map.get(key) === value) map.delete(key);
  };
}
