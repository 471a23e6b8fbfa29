import { type AcmeAuthorization, type AcmeOrder, acmeErrorName } from "../../wire/acme/messages.ts";

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
      const why = error === undefined ? "its time was over" : detailOf(error);
      return { kind: "failed", message: `The order of a certificate came to nothing (${why}): it is made again.` };
    }
    default:
      return status satisfies never;
  }
}

/** What the proof of one name wants next. */
export type AuthorizationStep =
  | { readonly kind: "done" }
  | { readonly kind: "wait" }
  /** Answer under `token`, then say so at `url`. */
  | { readonly kind: "respond"; readonly token: string; readonly url: string }
  | { readonly kind: "failed"; readonly message: string };

/** `responded`: the server was told already. */
export function authorizationStep(authorization: AcmeAuthorization, responded: boolean): AuthorizationStep {
  const { status, identifier, challenges } = authorization;
  const name = identifier.value;
  const challenge = challenges.find(({ type }) => type === "http-01");
  switch (status) {
    case "valid":
      return { kind: "done" };
    case "pending": {
      if (responded) return { kind: "wait" };
      const { token, url } = challenge ?? {};
      if (token !== undefined && url !== undefined) return { kind: "respond", token, url };
      const message = `The ACME server offers no http-01 challenge for ${name}: choose another one with directory.`;
      return { kind: "failed", message };
    }
    case "invalid": {
      const why = challenge?.error === undefined ? "no reason given" : detailOf(challenge.error);
      return {
        kind: "failed",
        message: `${name} could not be proven (${why}): let port 80 of that name lead to [acme] listen of this relay.`,
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

function detailOf(problem: Parameters<typeof acmeErrorName>[0]): string {
  const name = acmeErrorName(problem) ?? problem.type;
  return problem.detail === "" ? name : `${name}: ${problem.detail}`;
}
