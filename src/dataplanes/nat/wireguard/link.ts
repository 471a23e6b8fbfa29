import { parseAddress } from "../../../wire/address.ts";
import { parseJson } from "../../../wire/json.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import type { InterfaceAddress } from "../../../wire/wireguard/client-config.ts";
import { z } from "../../../wire/zod.ts";

/** An interface as `ip -json -details address show dev IF` tells of it. */
export interface Link {
  readonly up: boolean;
  readonly mtu: number;
  /** `wireguard`, `tun`, `bridge`; null = a device of hardware, or loopback. */
  readonly kind: string | null;
  /** Without link-local ones, which the kernel makes. */
  readonly addresses: readonly InterfaceAddress[];
}

const schema = z.tuple([
  z.object({
    flags: z.array(z.string()),
    mtu: z.int(),
    linkinfo: z.object({ info_kind: z.string() }).optional(),
    addr_info: z.array(z.object({ local: z.string(), prefixlen: z.int(), scope: z.string() })),
  }),
]);
const UP = "UP";
const LINK_LOCAL = "link";

export function decodeLink(text: string): Result<Link, { readonly message: string }> {
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) return err({ message: "ip says something else about the interface than this program knows." });
  const [{ flags, mtu, linkinfo, addr_info }] = parsed.data;
  const addresses: InterfaceAddress[] = [];
  for (const { local, prefixlen, scope } of addr_info) {
    const address = parseAddress(local);
    if (scope !== LINK_LOCAL && address.ok) addresses.push({ address: address.value, prefix: prefixlen });
  }
  return ok({ up: flags.includes(UP), mtu, kind: linkinfo?.info_kind ?? null, addresses });
}
