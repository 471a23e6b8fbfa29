import { parseHostPort } from "../../wire/endpoint.ts";
import { z } from "../../wire/zod.ts";
import type { SshSettings } from "../control.ts";
import { parsed } from "./fields.ts";

/** Not 22: there the machine's own server is, mostly. */
const DEFAULT_PORT = 2_222;
const path = z.string().min(1);

export const sshSection = z.strictObject({
  listen: z
    .string()
    .transform(
      parsed((text) => parseHostPort(text, { defaultPort: DEFAULT_PORT, defaultHost: "*", allowPortZero: true })),
    )
    .meta({ description: "HOST:PORT where SSH clients connect; default *:2222." })
    .exactOptional(),
  "trusted-user-ca": path
    .meta({ description: "A file with the public keys of CAs: their certificates let devices in by name." })
    .exactOptional(),
  sockets: path
    .meta({ description: "A directory for the Unix sockets of ssh -R /NAME:…; without it no file is made." })
    .exactOptional(),
});
export type SshSection = z.infer<typeof sshSection>;

/** `[ssh]` with its defaults; absent = there is none. `beside` makes a path absolute, as the config file has it. */
export function sshSettings(
  section: SshSection | undefined,
  beside: (path: string) => string,
): { readonly ssh?: SshSettings } {
  if (section === undefined) return {};
  const { listen = { host: "*", port: DEFAULT_PORT }, sockets, "trusted-user-ca": ca } = section;
  const ssh = {
    listen,
    trustedUserCa: ca === undefined ? null : beside(ca),
    sockets: sockets === undefined ? null : beside(sockets),
  };
  return { ssh };
}
