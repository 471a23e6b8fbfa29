import type { PortMapping, Protocol } from "../wire/port-set.ts";
import { DEFAULT_OPTIONS, type RemoteSpec } from "./forward.ts";
import { DEFAULT_LIFETIME_SEC } from "./lease.ts";

/** Test data: `80`, `80-90`, `53/udp`, `8000-8010:80` (external:internal; tcp unless said). */
export function mappings(...texts: string[]): PortMapping[] {
  return texts.map((text) => {
    const [ports = "", protocol = "tcp"] = text.split("/");
    const [external = "", internal] = ports.split(":");
    const [first = 0, last = first] = external.split("-").map(Number);
    return {
      protocol: protocol as Protocol,
      first,
      last,
      internalFirst: internal === undefined ? first : Number(internal),
    };
  });
}

/** Test data: an enabled forward with the default lifetime. */
export function remoteSpec(id: string, ports: readonly PortMapping[], more: Partial<RemoteSpec> = {}): RemoteSpec {
  return {
    id,
    name: id,
    group: null,
    ports,
    options: DEFAULT_OPTIONS,
    enabled: true,
    lifetimeSec: DEFAULT_LIFETIME_SEC,
    ...more,
  };
}
