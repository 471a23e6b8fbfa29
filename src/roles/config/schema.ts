import { parseHost } from "../../wire/endpoint.ts";
import { parseSitePattern } from "../../wire/site-name.ts";
import { z } from "../../wire/zod.ts";
import { acmeSection } from "./acme-schema.ts";
import * as field from "./fields.ts";
import { gatewaySection, MappingEntry, TriggerEntry, upnpSection, vpnSection } from "./gateway-schema.ts";
import { GluetunEntry, HookEntry } from "./hooks.ts";
import { MapEntry } from "./map.ts";
import { metricsSection } from "./metrics.ts";
import { DomainsEntry, namesAcme, namesSection } from "./names-schema.ts";
import { sshSection } from "./ssh.ts";
import { upgradeSection } from "./upgrade.ts";

const DEFAULT_AGENT_PORT = 7744;
const DEFAULT_CHECK_PORT = 8089;
const DEFAULT_CONSOLE_PORT = 7_780;
const name = field.name("For people, lists and `forward rm`; unique on this machine.");
const { protocol } = field;
const data = z.string().min(1).meta({ description: "The data directory, when --data does not name it." });
const log = z.enum(["debug", "info", "warning", "error"]).meta({ description: "The least important lines to log." });
const count = (description: string) => z.int().positive().max(10_000_000).meta({ description });

/** Beside the config file, when the path is relative. */
const file = (description: string) => z.string().min(1).meta({ description });

const relay = z.strictObject({
  listen: field.hostPort("HOST:PORT where agents connect; default 0.0.0.0:7744.", DEFAULT_AGENT_PORT).exactOptional(),
  public: z.string().min(1).meta({ description: "The name or address that visitors and agents use." }).exactOptional(),
  ports: field.portSet
    .meta({ description: "The ports that agents may open here; default 1024-65535." })
    .exactOptional(),
  data: data.exactOptional(),
  allow: field.exitRules.exactOptional(),
  certificate: file("The relay's own certificate, PEM, leaf first; default: one that join codes pin.").exactOptional(),
  key: file("The key of certificate, PEM.").exactOptional(),
  "client-ca": file("Agents must show a certificate from this CA that names their device.").exactOptional(),
  stun: z
    .boolean()
    .meta({ description: "Answer STUN (RFC 8489) on UDP, at the number of listen and at the next one; default true." })
    .exactOptional(),
  "upgrade-drain": field
    .duration("How long connections of before an upgrade in place may go on; default 1h.")
    .exactOptional(),
  "proxy-protocol-from": field.balancers.exactOptional(),
  log: log.exactOptional(),
});

const agent = z.strictObject({
  name: name.exactOptional(),
  relay: field
    .hostPort("HOST:PORT of the relay, when it moved since this agent joined.", DEFAULT_AGENT_PORT)
    .exactOptional(),
  allow: field.exitRules.exactOptional(),
  managed: z
    .boolean()
    .meta({
      description:
        "true: people at the relay may choose forwards that lead to this machine and to what allow has; default false.",
    })
    .exactOptional(),
  certificate: file("This agent's certificate, PEM, for a relay with a client CA.").exactOptional(),
  key: file("The key of certificate, PEM.").exactOptional(),
  ca: file("The CA of a relay that has a certificate of its own; default: the system's CAs.").exactOptional(),
  data: data.exactOptional(),
  log: log.exactOptional(),
});

const check = z.strictObject({
  listen: field
    .hostPort("HOST:PORT of a page that checks its visitor's ports; default none.", DEFAULT_CHECK_PORT)
    .exactOptional(),
  hosts: z
    .array(z.string().transform(field.parsed(parseHost)))
    .max(64)
    .meta({ description: "Names of the page, besides the relay's public name and addresses." })
    .exactOptional(),
  private: z
    .boolean()
    .meta({ description: "Check private addresses of who asks, too; default false. For a relay inside a LAN." })
    .exactOptional(),
  "trusted-proxies": field.cidrs
    .meta({ description: "Reverse proxies before the page, whose X-Forwarded-For is believed." })
    .exactOptional(),
});

const consoleSection = z.strictObject({
  listen: field
    .hostPort("HOST:PORT of the web console and its API; default none.", DEFAULT_CONSOLE_PORT)
    .exactOptional(),
  hosts: z
    .array(z.string().transform(field.parsed(parseHost)))
    .max(64)
    .meta({ description: "Names of the console, besides the relay's public name and this machine's addresses." })
    .exactOptional(),
  certificate: file("The console's certificate chain, PEM; default: the relay's own one.").exactOptional(),
  key: file("The key of certificate, PEM.").exactOptional(),
  tls: z
    .boolean()
    .meta({
      description: "HTTPS; default false on a loopback address and true on all others. false needs a reverse proxy.",
    })
    .exactOptional(),
  "trusted-proxies": field.cidrs
    .meta({ description: "Reverse proxies before the console, whose X-Forwarded-For is believed." })
    .exactOptional(),
  "proxy-protocol-from": field.balancers
    .meta({
      description:
        "TCP load balancers before the console: they must send PROXY protocol (v1, v2), and who asks is whom it names.",
    })
    .exactOptional(),
  "country-database": file(
    "A database of countries in the MaxMind DB format, such as GeoLite2-Country.mmdb: live connections show theirs.",
  ).exactOptional(),
  hsts: field
    .duration(
      "Browsers are told to come by HTTPS only for this long, to every port of the name; default: they are not.",
    )
    .exactOptional(),
});

const pattern = z.string().transform(field.parsed(parseSitePattern));
const hosts = z.union([pattern.transform((host) => [host]), z.array(pattern).min(1).max(100)]);

/** What every kind of forward can do with its visitors. */
const admission = {
  name: name.exactOptional(),
  allow: field.cidrs.meta({ description: "Only these sources may connect; empty = all." }).exactOptional(),
  deny: field.cidrs.meta({ description: "These sources may not connect; deny wins over allow." }).exactOptional(),
  connections: count("Connections and flows open at once.").exactOptional(),
  "connections-per-source": count("The same, for one source address (IPv6: its /64).").exactOptional(),
  "new-per-source": field.perSecond.exactOptional(),
  bandwidth: field.bandwidth.exactOptional(),
  idle: field
    .durationOr("never", "End a TCP connection after this long without a byte; default never.")
    .exactOptional(),
  "udp-idle": field.duration("End a UDP flow after this long without a datagram; default 120s.").exactOptional(),
  enabled: z.boolean().meta({ description: "false keeps the forward here and closed." }).exactOptional(),
};

const service = {
  protocol: protocol.exactOptional(),
  "proxy-protocol": z
    .enum(["v1", "v2"])
    .meta({ description: "Tell the service who the visitor is (HAProxy's PROXY protocol)." })
    .exactOptional(),
  "health-check": field.healthCheck.exactOptional(),
};

export const ExposeEntry = z.strictObject({
  ports: field.portSet,
  to: z.string().min(1).meta({ description: "The host of the service; default 127.0.0.1." }).exactOptional(),
  as: field.asPorts.exactOptional(),
  ...service,
  ...admission,
  host: hosts
    .meta({
      description:
        "Names of a site on the relay's ports for HTTP and TLS, instead of ports of its own: app.example.org.",
    })
    .exactOptional(),
  tls: z
    .enum(["end", "pass", "off"])
    .meta({
      description:
        "With host: the relay ends TLS (end, the default), passes it through to the service (pass), or it is plain HTTP (off).",
    })
    .exactOptional(),
  http2: z
    .boolean()
    .meta({ description: "With host: the service speaks HTTP/2 without TLS, such as gRPC; default false." })
    .exactOptional(),
  "basic-auth-file": file(
    "With host: who may come in, a line USER:PASSWORD for each; readable by its owner only; relative to this file.",
  ).exactOptional(),
  group: name.meta({ description: "Devices with the same group share one entry, and its visitors." }).exactOptional(),
  lifetime: field
    .durationOr("permanent", "How long the ports stay reserved while this agent is away; default 10m.")
    .exactOptional(),
});
export type ExposeEntry = z.infer<typeof ExposeEntry>;

export const ForwardEntry = z.strictObject({
  listen: field.listen,
  to: field.target,
  via: field.via.exactOptional(),
  ...service,
  ...admission,
});
export type ForwardEntry = z.infer<typeof ForwardEntry>;

export const SocksEntry = z.strictObject({
  listen: field.listen,
  via: field.via.exactOptional(),
  username: z.string().min(1).max(255).meta({ description: "Asked of SOCKS5 and HTTP clients." }).exactOptional(),
  "password-file": z
    .string()
    .min(1)
    .meta({ description: "A file with the password, readable by its owner only; relative to this file." })
    .exactOptional(),
  ...admission,
});
export type SocksEntry = z.infer<typeof SocksEntry>;

export const ConfigFile = z.strictObject({
  relay: relay.exactOptional(),
  agent: agent.exactOptional(),
  check: check.exactOptional(),
  console: consoleSection.exactOptional(),
  acme: acmeSection.exactOptional(),
  metrics: metricsSection.exactOptional(),
  names: namesSection.exactOptional(),
  ssh: sshSection.exactOptional(),
  expose: z.array(ExposeEntry).max(1_000).exactOptional(),
  forward: z.array(ForwardEntry).max(1_000).exactOptional(),
  socks: z.array(SocksEntry).max(1_000).exactOptional(),
  map: z.array(MapEntry).max(100).exactOptional(),
  gateway: gatewaySection.exactOptional(),
  upnp: upnpSection.exactOptional(),
  vpn: vpnSection.exactOptional(),
  mapping: z.array(MappingEntry).max(20_000).exactOptional(),
  trigger: z.array(TriggerEntry).max(100).exactOptional(),
  hook: z.array(HookEntry).max(100).exactOptional(),
  gluetun: GluetunEntry.exactOptional(),
  upgrade: upgradeSection.exactOptional(),
});
export type ConfigFile = z.infer<typeof ConfigFile>;

/** JSON Schema (draft 2020-12) of hatchway.toml, for editors. */
export function configJsonSchema(): unknown {
  return { title: "hatchway.toml", ...z.toJSONSchema(ConfigFile, { io: "input" }) };
}

function namesKeysAt(path: readonly PropertyKey[]): readonly string[] {
  return Object.keys(path[1] === "acme" ? namesAcme.shape : DomainsEntry.shape);
}

const HEALTH_CHECK_KEYS = ["interval", "timeout", "failures"];

/** The keys that the table at `path` may have. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.at(-1) === "health-check") return HEALTH_CHECK_KEYS;
  switch (path[0]) {
    case "relay":
      return Object.keys(relay.shape);
    case "agent":
      return Object.keys(agent.shape);
    case "check":
      return Object.keys(check.shape);
    case "console":
      return Object.keys(consoleSection.shape);
    case "acme":
      return Object.keys(acmeSection.shape);
    case "metrics":
      return Object.keys(metricsSection.shape);
    case "names":
      return path[1] === undefined ? Object.keys(namesSection.shape) : namesKeysAt(path);
    case "ssh":
      return Object.keys(sshSection.shape);
    case "upgrade":
      return Object.keys(upgradeSection.shape);
    case "expose":
      return Object.keys(ExposeEntry.shape);
    case "forward":
      return Object.keys(ForwardEntry.shape);
    case "socks":
      return Object.keys(SocksEntry.shape);
    case "map":
      return Object.keys(MapEntry.shape);
    case "gateway":
      return Object.keys(gatewaySection.shape);
    case "upnp":
      return Object.keys(upnpSection.shape);
    case "vpn":
      return Object.keys(vpnSection.shape);
    case "mapping":
      return Object.keys(MappingEntry.shape);
    case "hook":
      return Object.keys(HookEntry.shape);
    case "gluetun":
      return Object.keys(GluetunEntry.shape);
    case "trigger":
      return Object.keys(TriggerEntry.shape);
    default:
      return Object.keys(ConfigFile.shape);
  }
}
