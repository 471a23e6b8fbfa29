import { decodeSshEd25519Key } from "../../wire/ssh-signature.ts";
import { z } from "../../wire/zod.ts";

const MAX_CHARS = 2_048;

export const upgradeSection = z.strictObject({
  manifest: z
    .string()
    .min(1)
    .max(MAX_CHARS)
    .meta({ description: "Where the releases that you trust are: the https URL or the path of a release.json." })
    .exactOptional(),
  key: z
    .string()
    .max(MAX_CHARS)
    .refine((text) => decodeSshEd25519Key(text) !== null, {
      error: 'must be a public key of ssh-keygen\'s, such as "ssh-ed25519 AAAA…"',
    })
    .meta({ description: "Who signs them: a line `ssh-ed25519 AAAA…`; default: nobody must." })
    .exactOptional(),
});
