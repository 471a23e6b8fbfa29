import { z } from "../../wire/zod.ts";
import { name, portSet } from "./shapes.ts";
import { SITE_PATCH } from "./site-schema.ts";

/** A change of a forward, by the API and by local commands, in the words of its draft. What is absent stays as it is; null takes a setting away. */
export const ForwardPatch = z.strictObject({
  ports: portSet.exactOptional(),
  to: z.string().min(1).max(255).nullable().exactOptional(),
  protocol: z.enum(["tcp", "udp", "tcp+udp"]).exactOptional(),
  name: name.exactOptional(),
  enabled: z.boolean().exactOptional(),
  allow: z.array(z.string().max(64)).max(1_000).exactOptional(),
  deny: z.array(z.string().max(64)).max(1_000).exactOptional(),
  connections: z.int().min(1).nullable().exactOptional(),
  connectionsPerSource: z.int().min(1).nullable().exactOptional(),
  newPerSource: z.string().max(32).nullable().exactOptional(),
  bandwidth: z.string().max(32).nullable().exactOptional(),
  proxyProtocol: z.enum(["v1", "v2"]).nullable().exactOptional(),
  healthCheck: z
    .union([z.boolean(), z.string().max(32)])
    .nullable()
    .exactOptional(),
  idle: z.string().max(32).nullable().exactOptional(),
  udpIdle: z.string().max(32).nullable().exactOptional(),
  ...SITE_PATCH,
});
export type ForwardPatch = z.infer<typeof ForwardPatch>;
