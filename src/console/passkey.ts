import { browserSupportsWebAuthn, startAuthentication, startRegistration } from "@simplewebauthn/browser";
import type { PasskeyAnswer, PasskeyChallenge } from "./api.ts";

type RegistrationOptions = Parameters<typeof startRegistration>[0]["optionsJSON"];
type AuthenticationOptions = Parameters<typeof startAuthentication>[0]["optionsJSON"];

/** Browsers have passkeys only where the page came over HTTPS, or from this machine itself. */
export function hasPasskeys(): boolean {
  return window.isSecureContext && browserSupportsWebAuthn();
}

/** The JSON is WebAuthn's own, made by the server's library for this one: it is passed on as it is. */
export async function signWithPasskey({ challengeId, options }: PasskeyChallenge): Promise<PasskeyAnswer> {
  const optionsJSON = options as object as AuthenticationOptions;
  return { challengeId, response: { ...(await startAuthentication({ optionsJSON })) } };
}

export async function makePasskey({ challengeId, options }: PasskeyChallenge, name: string): Promise<PasskeyAnswer> {
  const optionsJSON = options as object as RegistrationOptions;
  return { challengeId, name, response: { ...(await startRegistration({ optionsJSON })) } };
}
