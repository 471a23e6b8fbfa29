import { z } from "../../../wire/zod.ts";

/**
 * What a browser sends of a passkey: WebAuthn's RegistrationResponseJSON and AuthenticationResponseJSON (Level 3 section 5.1),
 * of which these parts are read. Bounded: the largest, an attestation with its certificates, is a few kilobytes.
 */
const MAX_CHARS = 16_384;
const base64url = z
  .string()
  .min(1)
  .max(MAX_CHARS)
  .regex(/^[A-Za-z0-9_-]+$/);
const credentialId = base64url.max(1_400);

/** What extensions say is not asked for, and not read. */
const common = { id: credentialId, rawId: credentialId, type: z.literal("public-key") };

export const RegistrationAnswer = z
  .object({
    ...common,
    response: z.object({
      clientDataJSON: base64url,
      attestationObject: base64url,
      transports: z
        .array(z.string().regex(/^[a-z-]{1,20}$/))
        .max(8)
        .default([]),
    }),
  })
  .transform((answer) => ({ ...answer, clientExtensionResults: {} }));

export const SignInAnswer = z
  .object({
    ...common,
    response: z.object({
      clientDataJSON: base64url,
      authenticatorData: base64url,
      signature: base64url,
      userHandle: base64url.nullish(),
    }),
  })
  .transform(({ response: { userHandle, ...response }, ...answer }) => ({
    ...answer,
    response: { ...response, ...(userHandle == null ? {} : { userHandle }) },
    clientExtensionResults: {},
  }));
export type SignInAnswer = z.infer<typeof SignInAnswer>;
