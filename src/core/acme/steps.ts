import {
  type AcmeAuthorization,
  type AcmeOrder,
  CHALLENGE_TYPES,
  type ChallengeType,
} from "../../wire/acme/messages.ts";
import { problemText } from "./problem-text.ts";

/** Where a CA comes by each (RFC 8555 section 8.3, RFC 8737 section 3). */
export const PROOF_PORT: Record<ChallengeType, number> = { "http-01": 80, "tls-alpn-01": 443 };

/** What an order wants next (RFC 8555 section 7.1.6). */
export type OrderStep =
  | { readonly kind: "authorize" }
  | { readonly kind: "finalize" }
  | { readonly kind: "wait" }
  | { readonly kind: "download"; readonly url: string }
  | { readonly kind: "failed"; readonly message: string };

export function orderStep({ status, certificate, error }: AcmeOrder): OrderStep {
  switch (status) {
    case "pending":
      return { kind: "authorize" };
    case "ready":
      return { kind: "finalize" };
    case "processing":
      return { kind: "wait" };
    case "valid":
      if (certificate !== undefined) return { kind: "download", url: certificate };
      return {
        kind: "failed",
        message: "The ACME server made a certificate and does not say where: it is asked again.",
      };
    case "invalid": {
      // Without an error its time was over (section 7.1.6).
      const why = error === undefined ? "its time was over" : problemText(error);
      return { kind: "failed", message: `The order of a certificate came to nothing (${why}): it is made again.` };
    }
    default:
      return status satisfies never;
  }
}

/** What answers a CA that asks for one name. */
export interface NameProof {
  readonly type: ChallengeType;
  readonly name: string;
  readonly token: string;
  /** The token and the thumbprint of the account's key (section 8.1). */
  readonly keyAuthorization: string;
}

/** What the proof of one name wants next. */
export type AuthorizationStep =
  | { readonly kind: "done" }
  | { readonly kind: "wait" }
  /** Answer under `token`, then say so at `url`. */
  | {
      readonly kind: "respond";
      readonly type: ChallengeType;
      readonly name: string;
      readonly token: string;
      readonly url: string;
    }
  | { readonly kind: "failed"; readonly message: string };

/** `responded`: the server was told already. `ways`: those that can be gone, the best first. */
export function authorizationStep(
  { status, identifier, challenges }: AcmeAuthorization,
  responded: boolean,
  ways: readonly ChallengeType[],
): AuthorizationStep {
  const name = identifier.value;
  switch (status) {
    case "valid":
      return { kind: "done" };
    case "pending": {
      if (responded) return { kind: "wait" };
      for (const type of ways) {
        const { token, url } = challenges.find((challenge) => challenge.type === type) ?? {};
        if (token !== undefined && url !== undefined) return { kind: "respond", type, name, token, url };
      }
      const message = `The ACME server offers no ${ways.join(" or ")} challenge for ${name}: choose another one with directory.`;
      return { kind: "failed", message };
    }
    case "invalid": {
      const tried = challenges.find(({ error }) => error !== undefined);
      const why = tried?.error === undefined ? "no reason given" : problemText(tried.error);
      const type = CHALLENGE_TYPES.find((known) => known === tried?.type) ?? ways[0] ?? "http-01";
      return {
        kind: "failed",
        message: `${name} could not be proven (${why}): let port ${PROOF_PORT[type]} of that name lead to this relay.`,
      };
    }
    case "deactivated":
    case "expired":
    case "revoked":
      return { kind: "failed", message: `The proof of ${name} is ${status}: the order is made again.` };
    default:
      return status satisfies never;
  }
}
