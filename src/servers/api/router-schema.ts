import { z } from "../../wire/zod.ts";

/** Of `POST /v1/router` (schema.ts says how the API writes things). Names and the page are the router's own texts. */
export const RouterReport = z.object({
  atMs: z.number(),
  /** Of the default routes, IPv4's first; empty = there is none. */
  routers: z
    .array(
      z.object({
        family: z.literal([4, 6]),
        address: z.string(),
        interfaceName: z.string(),
        /** This machine's, towards it. */
        ownAddress: z.string(),
      }),
    )
    .readonly(),
  /** Maker and model; null = it does not say. */
  name: z.string().nullable(),
  /** Where it is set up, by its own word; null = it does not say. */
  page: z.string().nullable(),
  /** What it was asked in. */
  protocols: z
    .array(
      z.object({
        name: z.string(),
        /** Its address. */
        router: z.string(),
        /** Why it opens no ports by it, in a sentence; null = it does. */
        failure: z.string().nullable(),
      }),
    )
    .readonly(),
  /** The same in a few words. */
  speaks: z.string(),
  /** Its IPv4 address outside, by its own word; null = it does not say. */
  externalAddress: z.string().nullable(),
  /** Since it started; null = it does not say. */
  uptimeSec: z.number().nullable(),
  verdict: z.object({
    kind: z.enum(["open-internet", "public-here", "double-nat", "cgnat", "blocked", "ipv6-only", "no-network", "vpn"]),
    /** False: the facts allow another reading, and `evidence` or `advice` says which. */
    sure: z.boolean(),
    /** The verdict in words. */
    sentence: z.string(),
    /** Each fact that was used, in a sentence. */
    evidence: z.array(z.string()).readonly(),
    /** What to do, in sentences, the best first. */
    advice: z.array(z.string()).readonly(),
  }),
});
export type RouterReport = z.infer<typeof RouterReport>;
