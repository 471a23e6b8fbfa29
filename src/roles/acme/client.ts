import type { AcmeFailure, AcmeFailureKind } from "../../core/acme/plan.ts";
import { problemText } from "../../core/acme/problem-text.ts";
import { errorCode } from "../../os/errors.ts";
import { boundedText } from "../../os/response-text.ts";
import { VERSION } from "../../os/version.ts";
import { AcmeDirectory, AcmeProblem, acmeErrorName, decodeAcme, retryAfterMs } from "../../wire/acme/messages.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { z } from "../../wire/zod.ts";
import type { AccountKey } from "./account-key.ts";

const REQUEST_MS = 30_000;
/** A chain is some kilobytes. */
const MAX_BODY_BYTES = 256 * 1_024;
/** RFC 8555 section 6.5: a nonce that was refused brings a new one. */
const NONCE_TRIES = 4;
const JOSE = "application/jose+json";
const CHAIN_TYPE = "application/pem-certificate-chain";
const TOO_MANY = 429;
const SERVER_ERRORS = 500;

export interface AcmeClientOptions {
  /** The URL of the server's directory (RFC 8555 section 7.1.1). */
  readonly directory: string;
  /** PEM of the CA that vouches for the server itself; null = the system's. */
  readonly ca: string | null;
  readonly key: AccountKey;
  wallMs(): number;
  readonly signal: AbortSignal;
}

export interface AcmeReply {
  readonly text: string;
  readonly location: string | null;
  /** The server asks for patience until then. */
  readonly retryAtMs: number | null;
}

type Reply<T> = Promise<Result<T, AcmeFailure>>;

/** Requests to an ACME server, signed. It holds a nonce between them, and no other state. */
export class AcmeClient {
  readonly #options: AcmeClientOptions;
  #directory: AcmeDirectory | null = null;
  #nonce: string | null = null;

  constructor(options: AcmeClientOptions) {
    this.#options = options;
  }

  /** The account of the key, made if there is none: its URL (section 7.3). Whoever calls has accepted the terms. */
  async account(email: string | null): Reply<string> {
    const directory = await this.#findDirectory();
    if (!directory.ok) return directory;
    const contact = email === null ? {} : { contact: [`mailto:${email}`] };
    const made = await this.post(directory.value.newAccount, null, { termsOfServiceAgreed: true, ...contact });
    if (!made.ok) return made;
    const { location } = made.value;
    return location === null ? err(odd("an account without its address")) : ok(location);
  }

  /** `url`: of the order. */
  async order(account: string, hosts: readonly string[]): Reply<{ readonly url: string; readonly reply: AcmeReply }> {
    const directory = await this.#findDirectory();
    if (!directory.ok) return directory;
    const identifiers = hosts.map((value) => ({ type: "dns", value }));
    const made = await this.post(directory.value.newOrder, account, { identifiers });
    if (!made.ok) return made;
    const { location } = made.value;
    return location === null ? err(odd("an order without its address")) : ok({ url: location, reply: made.value });
  }

  /** `payload`: null = POST-as-GET. */
  async post(url: string, account: string | null, payload: object | null): Reply<AcmeReply> {
    for (let attempt = 1; ; attempt++) {
      const nonce = await this.#takeNonce();
      if (!nonce.ok) return nonce;
      const sent = await this.#fetch(url, {
        method: "POST",
        headers: { "content-type": JOSE, accept: `application/json, ${CHAIN_TYPE}` },
        body: this.#options.key.sign(url, nonce.value, account, payload),
      });
      if (!sent.ok) return sent;
      const { response, text } = sent.value;
      if (response.ok) {
        const location = response.headers.get("location");
        const isSafe = location !== null && URL.parse(location)?.protocol === "https:";
        return ok({ text, location: isSafe ? location : null, retryAtMs: this.#retryAt(response) });
      }
      const problem = decodeAcme(AcmeProblem, text);
      const name = problem.ok ? acmeErrorName(problem.value) : null;
      if (name !== "badNonce" || attempt === NONCE_TRIES) {
        return err(this.#failureOf(response, problem.ok ? problem.value : null));
      }
    }
  }

  async #findDirectory(): Reply<AcmeDirectory> {
    if (this.#directory !== null) return ok(this.#directory);
    const sent = await this.#fetch(this.#options.directory, { method: "GET" });
    if (!sent.ok) return sent;
    const { response, text } = sent.value;
    if (!response.ok) return err(this.#failureOf(response, null));
    const directory = decoded(AcmeDirectory, text);
    if (directory.ok) this.#directory = directory.value;
    return directory;
  }

  async #takeNonce(): Reply<string> {
    const held = this.#nonce;
    this.#nonce = null;
    if (held !== null) return ok(held);
    const directory = await this.#findDirectory();
    if (!directory.ok) return directory;
    const sent = await this.#fetch(directory.value.newNonce, { method: "HEAD" });
    if (!sent.ok) return sent;
    // The answer's own nonce, which #fetch has kept.
    const fresh = this.#nonce;
    this.#nonce = null;
    return fresh === null ? err(odd("no nonce")) : ok(fresh);
  }

  async #fetch(url: string, init: RequestInit): Reply<{ readonly response: Response; readonly text: string }> {
    const { ca, signal } = this.#options;
    try {
      const response = await fetch(url, {
        ...init,
        headers: { ...init.headers, "user-agent": `hatchway/${VERSION}` },
        redirect: "manual",
        signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]),
        ...(ca === null ? {} : { tls: { ca } }),
      });
      const text = await boundedText(response, MAX_BODY_BYTES);
      if (text === null) return err(odd("more than it can have to say"));
      const nonce = response.headers.get("replay-nonce");
      if (nonce !== null && /^[A-Za-z0-9_-]{1,256}$/.test(nonce)) this.#nonce = nonce;
      return ok({ response, text });
    } catch (error) {
      const why = error instanceof Error && error.name === "TimeoutError" ? "no answer in time" : errorCode(error);
      const { host } = new URL(url);
      const message = `The ACME server ${host} was not reached (${why ?? "no connection"}): see that this machine may go there.`;
      return err({ kind: "unreachable", message, notBeforeMs: null });
    }
  }

  #retryAt({ headers }: Response): number | null {
    return retryAfterMs(headers.get("retry-after"), this.#options.wallMs());
  }

  #failureOf(response: Response, problem: AcmeProblem | null): AcmeFailure {
    const name = problem === null ? null : acmeErrorName(problem);
    const status = `status ${response.status}`;
    const why = problem === null ? status : problemText(problem, status);
    const notBeforeMs = this.#retryAt(response);
    const kind = kindOf(name, response.status);
    switch (kind) {
      case "limited":
        return {
          kind,
          message: `The ACME server wants no more orders for now (${why}): it is left alone.`,
          notBeforeMs,
        };
      case "unreachable":
        return { kind, message: `The ACME server is out of order (${why}): it is asked again.`, notBeforeMs };
      case "refused":
        return { kind, message: `The ACME server refused (${why}): see [acme] in the config.`, notBeforeMs };
      default:
        return kind satisfies never;
    }
  }
}

function kindOf(name: string | null, status: number): AcmeFailureKind {
  if (name === "rateLimited" || status === TOO_MANY) return "limited";
  return status >= SERVER_ERRORS ? "unreachable" : "refused";
}

/** What the server says, as `schema` has it. */
export function decoded<T>(schema: z.ZodType<T>, text: string): Result<T, AcmeFailure> {
  const value = decodeAcme(schema, text);
  return value.ok ? value : err(odd(value.error));
}

function odd(what: string): AcmeFailure {
  const message = `The ACME server answered with ${what}: see that [acme] directory is the URL of an ACME directory.`;
  return { kind: "refused", message, notBeforeMs: null };
}
