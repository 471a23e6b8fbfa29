import { z } from "../../wire/zod.ts";
import { SiteInfo } from "../local/schema.ts";

/** Sites as the API has them: forwards that are reached by name, on the relay's ports for HTTP and TLS. */

const MAX_NAMES = 100;
const MAX_LOGINS = 100;
const text = z.string().min(1).max(255);
const siteName = z.string().min(1).max(255);
const siteNames = z.array(siteName).min(1).max(MAX_NAMES);
/** end: the relay has the certificate. pass: the service has it. off: plain HTTP. */
const tls = z.enum(["end", "pass", "off"]);

/** Of a draft of a forward; `host` makes it a site, and `ports` is the one TCP port of its service then. */
export const SITE_DRAFT = {
  /** `app.example.org`; `*.apps.example.org` is every name with one label more. */
  host: siteNames.exactOptional(),
  /** Default end. */
  tls: tls.exactOptional(),
  /** The service speaks HTTP/2 without TLS, such as gRPC; default false. */
  http2: z.boolean().exactOptional(),
  /** Who may come in; default everybody. A password is kept as a hash, may be one (argon2id), and is never given back. */
  logins: z
    .array(z.strictObject({ user: text, password: text }))
    .max(MAX_LOGINS)
    .exactOptional(),
};

/** Of a patch; of a forward that is a site already. */
export const SITE_PATCH = {
  host: siteNames.exactOptional(),
  tls: tls.exactOptional(),
  http2: z.boolean().exactOptional(),
  /** All who may come in from now on. Who has a password keeps it where none is given; empty = everybody. */
  logins: z
    .array(z.strictObject({ user: text, password: text.exactOptional() }))
    .max(MAX_LOGINS)
    .exactOptional(),
};

/** What a forward is besides, when it is a site. */
export const Site = SiteInfo;
export type Site = SiteInfo;

const port = z.int().min(1).max(65_535);

/** What a relay has for sites. */
export const SiteOffer = z.object({
  /** Where visitors come by HTTP, and by TLS; null = there is no such port. */
  http: port.nullable(),
  https: port.nullable(),
  /** Which names the asker's account may have: names, and `*.example.org` for all below. */
  domains: z.array(z.string()).readonly(),
});
export type SiteOffer = z.infer<typeof SiteOffer>;

export const NameQuestion = z.strictObject({ host: siteName });

/** Whether visitors of a name come to this relay, by what its own machine is told when it looks the name up. */
export const NameReport = z.object({
  host: z.string(),
  /** partly: some of its addresses are others'. nowhere: the name has no address. unknown: the relay's own addresses are not known. */
  leads: z.enum(["here", "partly", "elsewhere", "nowhere", "unknown"]),
  /** What the name leads to, at most 16. */
  addresses: z.array(z.string()).readonly(),
  /** One sentence. */
  sentence: z.string(),
  /** What to do, one sentence; null = nothing. */
  remedy: z.string().nullable(),
  /** What the name's zone is to have; empty = nothing is to be done, or it is not known. */
  records: z.array(z.object({ name: z.string(), type: z.enum(["A", "AAAA", "CNAME"]), value: z.string() })).readonly(),
});
export type NameReport = z.infer<typeof NameReport>;
