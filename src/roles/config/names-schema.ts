import { CHALLENGE_TYPES } from "../../wire/acme/messages.ts";
import { parseSitePattern } from "../../wire/site-name.ts";
import { z } from "../../wire/zod.ts";
import { acmeSection } from "./acme-schema.ts";
import * as field from "./fields.ts";

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

const domains = z
  .array(z.string().transform(field.parsed(parseSitePattern)))
  .max(1_000)
  .meta({ description: "Names, and *.example.org for all names below." });

/** Where certificates of sites are ordered. */
export const namesAcme = acmeSection.pick({ "accept-terms": true, email: true, directory: true, ca: true }).extend({
  challenge: z
    .enum(CHALLENGE_TYPES)
    .meta({
      description:
        "How the CA proves names: http-01 at http, tls-alpn-01 at https; default: by the ports that there are, port 80 first.",
    })
    .exactOptional(),
});

export const DomainsEntry = z.strictObject({
  account: z.string().min(1).max(64).meta({ description: "The account whose they are, and nobody else's." }),
  domains,
});

export const namesSection = z.strictObject({
  http: field.hostPort("HOST:PORT where visitors come by HTTP, such as *:80; default none.", HTTP_PORT).exactOptional(),
  https: field
    .hostPort("HOST:PORT where visitors come by TLS, such as *:443; default none.", HTTPS_PORT)
    .exactOptional(),
  domains: domains
    .meta({ description: "Which names agents may have: names, and *.example.org for all below; default none." })
    .exactOptional(),
  grant: z.array(DomainsEntry).max(1_000).meta({ description: "Domains of one account alone." }).exactOptional(),
  certificate: z
    .string()
    .min(1)
    .meta({ description: "A certificate chain, PEM, to end TLS of its names with; a wildcard, for instance." })
    .exactOptional(),
  key: z.string().min(1).meta({ description: "The key of certificate, PEM." }).exactOptional(),
  acme: namesAcme
    .meta({ description: "The CA that gives certificates for the other names; needs https." })
    .exactOptional(),
});
export type NamesSection = z.infer<typeof namesSection>;
