import type { AcmeFailure } from "../../core/acme/plan.ts";
import { authorizationStep, type NameProof, orderStep } from "../../core/acme/steps.ts";
import { certificateRequest } from "../../os/certificate-request.ts";
import { AcmeAuthorization, AcmeOrder, type ChallengeType } from "../../wire/acme/messages.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { AccountKey } from "./account-key.ts";
import { type AcmeClient, type AcmeReply, decoded } from "./client.ts";

/** A server that says nothing of when to ask again is asked after this, and then after twice as long each time, up to the most. */
const FIRST_POLL_MS = 500;
const MAX_OWN_POLL_MS = 4_000;
const MAX_POLL_MS = 60_000;
/** For everything that is waited for in one order. */
const PATIENCE_MS = 10 * 60_000;

export interface ObtainOptions {
  readonly client: AcmeClient;
  readonly key: AccountKey;
  /** The account's URL. */
  readonly account: string;
  readonly hosts: readonly string[];
  /** How names can be proven, the best first. */
  readonly ways: readonly ChallengeType[];
  /** Answers the CA's question from when it resolves; what it gives ends that. */
  publish(proof: NameProof): Promise<() => void>;
  wallMs(): number;
  /** Resolves early when all is to end: then the requests fail. */
  pause(ms: number): Promise<void>;
}

export interface Obtained {
  /** Leaf first. */
  readonly chainPem: string;
  readonly keyPem: string;
}

/** One order, from its making to the certificate (RFC 8555 section 7.4). */
export async function obtainCertificate(options: ObtainOptions): Promise<Result<Obtained, AcmeFailure>> {
  const { client, account, hosts } = options;
  const made = await client.order(account, hosts);
  if (!made.ok) return made;
  const run = new OrderRun(options);
  let { reply } = made.value;
  let keyPem: string | null = null;
  let authorized = false;
  for (;;) {
    const order = decoded(AcmeOrder, reply.text);
    if (!order.ok) return order;
    const step = orderStep(order.value);
    switch (step.kind) {
      case "authorize": {
        if (authorized) {
          const waited = await run.wait(reply);
          if (!waited.ok) return waited;
          break;
        }
        const proven = await run.authorize(order.value);
        if (!proven.ok) return proven;
        authorized = true;
        break;
      }
      case "finalize": {
        const request = await certificateRequest(hosts);
        const csr = Buffer.from(request.csr).toString("base64url");
        const finalized = await client.post(order.value.finalize, account, { csr });
        if (!finalized.ok) return finalized;
        keyPem = request.keyPem;
        reply = finalized.value;
        continue;
      }
      case "wait": {
        const waited = await run.wait(reply);
        if (!waited.ok) return waited;
        break;
      }
      case "download": {
        const chain = await client.post(step.url, account, null);
        if (!chain.ok) return chain;
        if (keyPem !== null) return ok({ chainPem: chain.value.text, keyPem });
        return err(refused("The ACME server made a certificate before it was asked to: the order is made again."));
      }
      case "failed":
        return err(refused(step.message));
      default:
        return step satisfies never;
    }
    const again = await client.post(made.value.url, account, null);
    if (!again.ok) return again;
    reply = again.value;
  }
}

/** What is common to all waiting of one order. */
class OrderRun {
  readonly #options: ObtainOptions;
  readonly #endMs: number;
  #pollMs = FIRST_POLL_MS;

  constructor(options: ObtainOptions) {
    this.#options = options;
    this.#endMs = options.wallMs() + PATIENCE_MS;
  }

  async wait({ retryAtMs }: AcmeReply): Promise<Result<null, AcmeFailure>> {
    const nowMs = this.#options.wallMs();
    if (nowMs >= this.#endMs) {
      return err(refused("The ACME server did not come to an end with the order in ten minutes: it is made again."));
    }
    const ownMs = this.#pollMs;
    this.#pollMs = Math.min(MAX_OWN_POLL_MS, ownMs * 2);
    const askedMs = retryAtMs === null ? 0 : retryAtMs - nowMs;
    await this.#options.pause(Math.min(MAX_POLL_MS, Math.max(ownMs, askedMs)));
    return ok(null);
  }

  /** Proves every name, one after the other. */
  async authorize({ authorizations }: AcmeOrder): Promise<Result<null, AcmeFailure>> {
    for (const url of authorizations) {
      const proven = await this.#prove(url);
      if (!proven.ok) return proven;
    }
    return ok(null);
  }

  async #prove(url: string): Promise<Result<null, AcmeFailure>> {
    const { client, account, key, hosts, ways, publish } = this.#options;
    let unpublish: () => void = () => undefined;
    let responded = false;
    try {
      for (;;) {
        const reply = await client.post(url, account, null);
        if (!reply.ok) return reply;
        const authorization = decoded(AcmeAuthorization, reply.value.text);
        if (!authorization.ok) return authorization;
        // What is answered for a name is seen by whoever asks for that name: it is to be one that was ordered.
        if (!hosts.includes(authorization.value.identifier.value)) {
          return err(
            refused("The ACME server asks for the proof of another name than was ordered: it is ordered again."),
          );
        }
        const step = authorizationStep(authorization.value, responded, ways);
        switch (step.kind) {
          case "done":
            return ok(null);
          case "respond": {
            const { type, name, token } = step;
            unpublish = await publish({ type, name, token, keyAuthorization: key.authorizationOf(token) });
            const told = await client.post(step.url, account, {});
            if (!told.ok) return told;
            responded = true;
            break;
          }
          case "wait": {
            const waited = await this.wait(reply.value);
            if (!waited.ok) return waited;
            break;
          }
          case "failed":
            return err(refused(step.message));
          default:
            return step satisfies never;
        }
      }
    } finally {
      unpublish();
    }
  }
}

function refused(message: string): AcmeFailure {
  return { kind: "refused", message, notBeforeMs: null };
}
