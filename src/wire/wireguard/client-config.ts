import { type Cidr, parseAddress, parseCidr } from "../address.ts";
import { ANY_HOST, formatHostPort, type HostPort, parseHost, parseHostPort } from "../endpoint.ts";
import { err, ok, type Result } from "../result.ts";
import type { TextError } from "../text-error.ts";
import { type ConfigLine, type ConfigSection, listItems, readSections, unknownKey } from "./config-lines.ts";
import { parseKey, type WgKey } from "./key.ts";

/** The file that one client of a VPN server is given, in the form of wg-quick(8) and of WireGuard's apps. */
export interface ClientConfig {
  readonly privateKey: WgKey;
  /** At least one. */
  readonly addresses: readonly InterfaceAddress[];
  /** Addresses of resolvers, and search domains. */
  readonly dns: readonly string[];
  /** Null = the client decides. */
  readonly mtu: number | null;
  /**
   * Routes in a table of this number, which everything but the tunnel's own packets uses: the client's other routes,
   * also those that a DHCP server sends, lead nothing past the tunnel (TunnelVision, CVE-2024-3661). wg-quick on Linux
   * only. Null = as the client does it by itself.
   */
  readonly ownTable: number | null;
  readonly server: ClientPeer;
}

/** An address with the length of its network's prefix: host bits stay, unlike in a Cidr. */
export interface InterfaceAddress {
  readonly address: string;
  readonly prefix: number;
}

export interface ClientPeer {
  readonly publicKey: WgKey;
  readonly presharedKey: WgKey | null;
  readonly allowedIps: readonly Cidr[];
  readonly endpoint: HostPort;
  /** Seconds; 0 = off. */
  readonly keepaliveSec: number;
}

/** Least and most of RFC 791 and RFC 8200's links that WireGuard can run on. */
const MTU = { min: 576, max: 65_535 } as const;
const MAX_KEEPALIVE_SEC = 65_535;
/** 0 and 253 to 255 are the kernel's own tables. */
const TABLE = { min: 1, max: 2_147_483_647 } as const;

/** Longer is no file of one client. */
const MAX_TEXT_CHARS = 65_536;

/** `compact`: without the blanks, for a QR code that is smaller by a version or two. */
export function encodeClientConfig(config: ClientConfig, form: "file" | "compact" = "file"): string {
  const { server } = config;
  const lines = [
    "[Interface]",
    `PrivateKey = ${config.privateKey}`,
    `Address = ${config.addresses.map(formatInterfaceAddress).join(", ")}`,
    ...(config.dns.length === 0 ? [] : [`DNS = ${config.dns.join(", ")}`]),
    ...(config.mtu === null ? [] : [`MTU = ${config.mtu}`]),
    ...(config.ownTable === null ? [] : ownTableLines(config.ownTable)),
    "",
    "[Peer]",
    `PublicKey = ${server.publicKey}`,
    ...(server.presharedKey === null ? [] : [`PresharedKey = ${server.presharedKey}`]),
    `AllowedIPs = ${server.allowedIps.join(", ")}`,
    `Endpoint = ${formatHostPort(server.endpoint.host, server.endpoint.port)}`,
    ...(server.keepaliveSec === 0 ? [] : [`PersistentKeepalive = ${server.keepaliveSec}`]),
  ];
  if (form === "file") return `${lines.join("\n")}\n`;
  return lines
    .filter((line) => line !== "")
    .map((line) => line.replace(" = ", "=").replaceAll(", ", ","))
    .join("\n");
}

export function formatInterfaceAddress({ address, prefix }: InterfaceAddress): string {
  return `${address}/${prefix}`;
}

/** The rules stand before those of table main, and the mark is what WireGuard's own packets have. */
function ownTableLines(table: number): string[] {
  const rules = (verb: "add" | "del") =>
    ["-4", "-6"].map((family) => `ip ${family} rule ${verb} not fwmark ${table} table ${table}`).join("; ");
  return [`FwMark = ${table}`, `Table = ${table}`, `PostUp = ${rules("add")}`, `PreDown = ${rules("del")}`];
}

/** Reads what `encodeClientConfig` writes, in any layout that wg(8) and wg-quick(8) allow. Commands are not taken. */
export function decodeClientConfig(text: string): Result<ClientConfig, TextError> {
  if (text.length > MAX_TEXT_CHARS) {
    const message = `A client's file has at most ${MAX_TEXT_CHARS} characters.`;
    return err({ message, offset: MAX_TEXT_CHARS, length: text.length - MAX_TEXT_CHARS });
  }
  const sections = readSections(text);
  if (!sections.ok) return sections;
  const [own, server, extra] = sections.value;
  if (own?.name !== "interface") {
    return err({ message: "Begin the file with [Interface].", offset: own?.offset ?? 0, length: own?.length ?? 0 });
  }
  if (server?.name !== "peer" || extra !== undefined) {
    const place = extra ?? server;
    const message = "Write exactly one [Peer] after [Interface]: the server.";
    return err({ message, offset: place?.offset ?? text.length, length: place?.length ?? 0 });
  }
  const client = readInterface(own);
  if (!client.ok) return client;
  const peer = readPeer(server);
  return peer.ok ? ok({ ...client.value, server: peer.value }) : peer;
}

function readInterface(section: ConfigSection): Result<Omit<ClientConfig, "server">, TextError> {
  let privateKey: WgKey | null = null;
  const addresses: InterfaceAddress[] = [];
  const dns: string[] = [];
  let mtu: number | null = null;
  const tableLines: ConfigLine[] = [];
  for (const line of section.lines) {
    let problem: TextError | null = null;
    const take = <T>(result: Result<T, TextError>): T | null => {
      if (result.ok) return result.value;
      problem = result.error;
      return null;
    };
    switch (line.key) {
      case "privatekey":
        privateKey = take(within(line.offset, parseKey(line.value)));
        break;
      case "address":
        addresses.push(...(take(readList(line, parseInterfaceAddress)) ?? []));
        break;
      case "dns":
        dns.push(...(take(readList(line, parseHost)) ?? []));
        break;
      case "mtu":
        mtu = take(readNumber(line, MTU.min, MTU.max));
        break;
      case "fwmark":
      case "table":
      case "postup":
      case "predown":
        tableLines.push(line);
        break;
      default:
        problem = unknownKey(line, "[Interface]");
    }
    if (problem !== null) return err(problem);
  }
  if (privateKey === null) return err(lacking(section, "PrivateKey"));
  if (addresses.length === 0) return err(lacking(section, "Address"));
  const ownTable = readOwnTable(tableLines);
  return ownTable.ok ? ok({ privateKey, addresses, dns, mtu, ownTable: ownTable.value }) : ownTable;
}

/** The commands run as root on the client, so only the very ones that are written here are taken. */
function readOwnTable(lines: readonly ConfigLine[]): Result<number | null, TextError> {
  const [first] = lines;
  if (first === undefined) return ok(null);
  const tableLine = lines.find(({ key }) => key === "table");
  const table = tableLine === undefined ? null : readNumber(tableLine, TABLE.min, TABLE.max);
  if (table !== null && !table.ok) return table;
  const known = table === null ? [] : ownTableLines(table.value).map((line) => line.split(" = "));
  const wrong = lines.find(
    ({ key, value }) => !known.some(([name, text]) => name?.toLowerCase() === key && text === value),
  );
  const keys = new Set(lines.map(({ key }) => key));
  if (table !== null && wrong === undefined && keys.size === known.length) return ok(table.value);
  return err(unknownKey(wrong ?? first, "[Interface]"));
}

function readPeer(section: ConfigSection): Result<ClientPeer, TextError> {
  let publicKey: WgKey | null = null;
  let presharedKey: WgKey | null = null;
  const allowedIps: Cidr[] = [];
  let endpoint: HostPort | null = null;
  let keepaliveSec = 0;
  for (const line of section.lines) {
    let problem: TextError | null = null;
    const take = <T>(result: Result<T, TextError>): T | null => {
      if (result.ok) return result.value;
      problem = result.error;
      return null;
    };
    switch (line.key) {
      case "publickey":
        publicKey = take(within(line.offset, parseKey(line.value)));
        break;
      case "presharedkey":
        presharedKey = take(within(line.offset, parseKey(line.value)));
        break;
      case "allowedips":
        allowedIps.push(...(take(readList(line, parseCidr)) ?? []));
        break;
      case "endpoint":
        endpoint = take(within(line.offset, parseEndpoint(line.value)));
        break;
      case "persistentkeepalive":
        keepaliveSec = line.value.toLowerCase() === "off" ? 0 : (take(readNumber(line, 0, MAX_KEEPALIVE_SEC)) ?? 0);
        break;
      default:
        problem = unknownKey(line, "[Peer]");
    }
    if (problem !== null) return err(problem);
  }
  if (publicKey === null) return err(lacking(section, "PublicKey"));
  if (endpoint === null) return err(lacking(section, "Endpoint"));
  if (allowedIps.length === 0) return err(lacking(section, "AllowedIPs"));
  return ok({ publicKey, presharedKey, allowedIps, endpoint, keepaliveSec });
}

function parseEndpoint(text: string): Result<HostPort, TextError> {
  const parsed = parseHostPort(text);
  if (!parsed.ok || parsed.value.host !== ANY_HOST) return parsed;
  return err({ message: "Write the server's name or address before the port.", offset: 0, length: text.length });
}

/** `10.77.0.2/32`; a lone address is a /32 or /128. */
export function parseInterfaceAddress(text: string): Result<InterfaceAddress, TextError> {
  const cidr = parseCidr(text);
  if (!cidr.ok) return cidr;
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address.ok) return address;
  return ok({ address: address.value, prefix: Number(cidr.value.slice(cidr.value.indexOf("/") + 1)) });
}

function readList<T>(line: ConfigLine, parse: (text: string) => Result<T, TextError>): Result<T[], TextError> {
  const values: T[] = [];
  for (const { text, offset } of listItems(line)) {
    const value = within(offset, parse(text));
    if (!value.ok) return value;
    values.push(value.value);
  }
  return ok(values);
}

function readNumber(line: ConfigLine, least: number, most: number): Result<number, TextError> {
  const value = /^[0-9]{1,10}$/.test(line.value) ? Number(line.value) : Number.NaN;
  if (value >= least && value <= most) return ok(value);
  const message = `Write a number from ${least} to ${most}.`;
  return err({ message, offset: line.offset, length: line.value.length });
}

function within<T>(offset: number, result: Result<T, TextError>): Result<T, TextError> {
  return result.ok ? result : err({ ...result.error, offset: result.error.offset + offset });
}

function lacking({ offset, length, name }: ConfigSection, key: string): TextError {
  return { message: `Add ${key} to [${name === "peer" ? "Peer" : "Interface"}].`, offset, length };
}
