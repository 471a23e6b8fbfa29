import { parseHost } from "../../wire/endpoint.ts";
import { z } from "../../wire/zod.ts";
import * as field from "./fields.ts";

export const HTTP_PORT = 80;
/** Of Let's Encrypt. */
export const DEFAULT_DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory";
const MAX_NAMES = 64;

export const acmeSection = z.strictObject({
  hosts: z
    .array(z.string().transform(field.parsed(parseHost)))
    .min(1)
    .max(MAX_NAMES)
    .meta({ description: "The names of the certificate; default: those of [console] hosts, else [relay] public." })
    .exactOptional(),
  "accept-terms": z.boolean().meta({ description: "true: you accept the terms of service of the CA." }).exactOptional(),
  email: z
    .string()
    .max(255)
    .regex(/^[^\s@,?]+@[^\s@,?]+$/, { error: 'must be an e-mail address, such as "ann@example.com"' })
    .meta({ description: "Where the CA may write to; default none." })
    .exactOptional(),
  directory: z
    .string()
    .max(2_048)
    .refine(isHttpsUrl, { error: "must be the https URL of an ACME directory" })
    .meta({ description: `The CA, by the URL of its ACME directory; default ${DEFAULT_DIRECTORY}.` })
    .exactOptional(),
  ca: z
    .string()
    .min(1)
    .meta({ description: "PEM file: the CA of the ACME server's own certificate; default: the system's CAs." })
    .exactOptional(),
  listen: field
    .hostPort(
      "HOST:PORT where port 80 of the names arrives; default *:80, or [names] http if that has port 80.",
      HTTP_PORT,
    )
    .exactOptional(),
});

function isHttpsUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === "https:" && url.username === "" && url.password === "";
}
