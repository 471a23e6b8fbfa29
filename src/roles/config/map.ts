import type { UpstreamForwardSpec } from "../../core/forward.ts";
import { parseAddress } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { z } from "../../wire/zod.ts";
import * as field from "./fields.ts";
import { stableId, titleOf } from "./naming.ts";
import { exposePorts, formatMappings } from "./ports.ts";
import type { Problem } from "./problem.ts";

/**
 * What routers are asked for when nobody says: short enough that a crash does not leave a door open for a day, long
 * enough that a router is asked twice an hour (RFC 6886 §3.3 suggests two hours).
 */
const DEFAULT_LIFETIME_SEC = 3_600;
/** RFC 6887 §15: a server may cut it; UPnP-IGD 2 ends at a week. */
const MAX_LIFETIME_SEC = 604_800;
/** Renewal at half the lease must not become a load (RFC 6887 §11.2.1: at least 4 s apart). */
const MIN_LIFETIME_SEC = 30;

const address = (description: string) => z.string().transform(field.parsed(parseAddress)).meta({ description });

/** `[[map]]`: ports that the router above this machine is asked for. */
export const MapEntry = z.strictObject({
  ports: field.portSet,
  as: field.asPorts.exactOptional(),
  to: address("The host of the local network that the router forwards to; default this machine.").exactOptional(),
  protocol: field.protocol.exactOptional(),
  "protocol-only": z
    .enum(["pcp", "nat-pmp", "igd", "igd2", "igd1"])
    .meta({ description: "Ask the router in this protocol and in no other; default the best that it speaks." })
    .exactOptional(),
  family: z
    .enum(["both", "ipv4", "ipv6"])
    .meta({ description: "IPv4 mappings, IPv6 pinholes, or both where there are both (default)." })
    .exactOptional(),
  router: address("The router to ask; default the gateway of this machine's default route.").exactOptional(),
  "same-port": z
    .boolean()
    .meta({ description: "true: the wanted outside port or none; ranges are so always." })
    .exactOptional(),
  lifetime: field.duration("The lease to ask for; it is renewed at its half. Default 1h, at most 7d.").exactOptional(),
  name: field.name("For people, lists and `map rm`; routers show it as well.").exactOptional(),
  enabled: z.boolean().meta({ description: "false keeps the mapping here and closed." }).exactOptional(),
});
export type MapEntry = z.infer<typeof MapEntry>;

/**
 * An upstream mapping from a `[[map]]` entry, or from `map`'s arguments or the library's options under the same keys. `id`:
 * for who has no need of one that is the same on every run.
 */
export function mapSpec(entry: MapEntry, id?: string): Result<UpstreamForwardSpec, Problem> {
  const ports = exposePorts(entry.ports, entry.as ?? null, entry.protocol ?? "tcp");
  if (!ports.ok) return err({ path: ["as"], message: ports.error });
  const lifetimeSec = entry.lifetime ?? DEFAULT_LIFETIME_SEC;
  if (lifetimeSec < MIN_LIFETIME_SEC || lifetimeSec > MAX_LIFETIME_SEC) {
    return err({
      path: ["lifetime"],
      message: `must be from ${MIN_LIFETIME_SEC}s to 7d: it is renewed while it is wanted`,
    });
  }
  const to = entry.to ?? null;
  const only = entry["protocol-only"] ?? null;
  const gateway = entry.router ?? null;
  const upstream = {
    id: id ?? stableId("map", entry.name, { ports: ports.value, to }),
    name: titleOf(entry.name, formatMappings(ports.value)),
    ports: ports.value,
    to,
    families: entry.family ?? "both",
    only,
    gateway,
    samePort: entry["same-port"] ?? false,
    lifetimeSec: Math.round(lifetimeSec),
    enabled: entry.enabled ?? true,
  };
  return ok({ kind: "upstream", upstream });
}
