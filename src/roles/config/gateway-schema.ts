import { parsePermissionRule } from "../../core/mapping/permission-rule.ts";
import { isIpv6, parseAddress, parseCidr } from "../../wire/address.ts";
import { parseHost } from "../../wire/endpoint.ts";
import { INTERFACE_NAME } from "../../wire/interface-name.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import { err, ok } from "../../wire/result.ts";
import { z } from "../../wire/zod.ts";
import * as field from "./fields.ts";

const interfaceName = z
  .string()
  .regex(INTERFACE_NAME, { error: 'must be the name of a network interface, such as "eth0"' });
const interfaces = (description: string) =>
  z
    .union([interfaceName.transform((name) => [name]), z.array(interfaceName).min(1).max(64)], {
      error: () => 'must be the name of a network interface, such as "eth0", or a list of names',
    })
    .meta({ description });
const flag = (description: string) => z.boolean().meta({ description });
const count = (description: string) => z.int().positive().max(10_000_000).meta({ description });
const v4 = (text: string) => {
  const parsed = parseAddress(text);
  if (!parsed.ok || !isIpv6(parsed.value)) return parsed;
  return err({ message: "Write an IPv4 address.", offset: 0, length: text.length });
};

const perSource = {
  allow: field.cidrs.meta({ description: "Only these sources may connect; empty = all." }).exactOptional(),
  deny: field.cidrs.meta({ description: "These sources may not connect; deny wins over allow." }).exactOptional(),
  "connections-per-source": count(
    "Connections and flows open at once from one source (IPv6: its /64).",
  ).exactOptional(),
  "new-per-source": field.perSecond.exactOptional(),
};

export const gatewaySection = z.strictObject({
  wan: interfaces("Where visitors come from, and clients go out.").exactOptional(),
  lan: interfaces("Where the clients are.").exactOptional(),
  public: z
    .string()
    .transform(field.parsed(v4))
    .meta({ description: "The IPv4 address that visitors use, when it is not the WAN interface's own." })
    .exactOptional(),
  masquerade: flag("Clients go out by the WAN address; default true.").exactOptional(),
  "snat-ports": field
    .textOrPort("Source ports of what goes out; never forwarded. Default 52000-64000.")
    .transform(field.parsed(onePortRange))
    .exactOptional(),
  firewall: flag("Clients are reached from outside by forwards only; default true.").exactOptional(),
  ...perSource,
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, { error: "must be the name of a user" })
    .meta({ description: "Who the gateway runs as, but for its privileged helper; default hatchway, else nobody." })
    .exactOptional(),
  data: z.string().min(1).meta({ description: "The data directory, when --data does not name it." }).exactOptional(),
  log: z
    .enum(["debug", "info", "warning", "error"])
    .meta({ description: "The least important lines to log." })
    .exactOptional(),
});

function onePortRange(text: string) {
  const parsed = parsePortSet(text);
  if (!parsed.ok) return parsed;
  const [range, more] = parsed.value.ranges;
  const plain =
    range !== undefined && more === undefined && range.protocol === null && range.first === range.internalFirst;
  if (plain && range.last - range.first >= MIN_SNAT_PORTS - 1) return ok({ first: range.first, last: range.last });
  const message = `Write one range of at least ${MIN_SNAT_PORTS} ports, such as 52000-64000.`;
  return err({ message, offset: 0, length: text.length });
}
/** Fewer, and a handful of clients of one web site run out. */
const MIN_SNAT_PORTS = 1_000;

export const vpnSection = z.strictObject({
  interface: interfaceName.meta({ description: "The VPN's own interface; default hatchway0." }).exactOptional(),
  "listen-port": z.int().min(1).max(65_535).meta({ description: "UDP; default 51820." }).exactOptional(),
  network: z
    .string()
    .transform(field.parsed(parseCidr))
    .meta({ description: "The peers' IPv4 network; default 10.77.0.0/24." })
    .exactOptional(),
  network6: z
    .string()
    .transform(field.parsed(parseCidr))
    .meta({ description: "The peers' IPv6 network; default one of fd00::/8 by chance." })
    .exactOptional(),
  endpoint: z
    .string()
    .transform(field.parsed(parseHost))
    .meta({ description: "The name or address that peers dial; default the external address." })
    .exactOptional(),
  dns: z
    .array(z.string().transform(field.parsed(parseAddress)))
    .max(8)
    .meta({ description: "Resolvers for peers that send everything through the VPN." })
    .exactOptional(),
  mtu: z.int().min(1280).max(9000).meta({ description: "Default 1420." }).exactOptional(),
  "clients-meet": flag("Peers reach each other and the LAN; default false.").exactOptional(),
});

export const upnpSection = z.strictObject({
  igd: flag("Serve UPnP-IGD; default true.").exactOptional(),
  "nat-pmp": flag("Serve NAT-PMP; default true.").exactOptional(),
  pcp: flag("Serve PCP; default true.").exactOptional(),
  rules: z
    .array(z.string().transform(field.parsed(parsePermissionRule)))
    .max(1_000)
    .meta({
      description:
        'Who may ask for what, the first match decides: "allow 1024-65535 192.168.1.0/24 1024-65535". Default: every client, ports from 1024 on both sides.',
    })
    .exactOptional(),
  secure: flag("A client maps to itself only, not to others inside; default true.").exactOptional(),
  "strict-nonce": flag("PCP renews and deletes only with the same nonce; default false.").exactOptional(),
  "port-zero": flag(
    "NAT-PMP's internal port 0 means the external one, as VPN clients expect; default true.",
  ).exactOptional(),
  "max-mappings": count("Mappings that one client may have; default 64.").exactOptional(),
  "http-port": z
    .int()
    .min(0)
    .max(65_535)
    .meta({ description: "IGD's HTTP port; default any free one." })
    .exactOptional(),
});

const name = field.name("For people, lists and `rm`; unique.");
const { protocol } = field;

export const MappingEntry = z.strictObject({
  ports: field.portSet,
  to: z.string().min(1).max(255).meta({ description: "The client: its address, or the name of a VPN peer." }),
  protocol: protocol.exactOptional(),
  name: name.exactOptional(),
  ...perSource,
  lifetime: field.durationOr("permanent", "How long it stays; default permanent.").exactOptional(),
  enabled: flag("false keeps the mapping here and closed.").exactOptional(),
});
export type MappingEntry = z.infer<typeof MappingEntry>;

export const TriggerEntry = z.strictObject({
  name,
  out: field.portSet.meta({ description: "A client that sends to one of these ports opens the others to itself." }),
  in: field.portSet.meta({ description: "The ports that are opened, untranslated." }),
  protocol: protocol.exactOptional(),
  timeout: field.duration("They close when nothing has passed for this long; default 10m.").exactOptional(),
  "first-wins": flag("A second client is refused while they are open; default: it takes over.").exactOptional(),
});
export type TriggerEntry = z.infer<typeof TriggerEntry>;
