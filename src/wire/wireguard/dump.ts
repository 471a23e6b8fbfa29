import { type Cidr, parseCidr } from "../address.ts";
import { type Endpoint, parseHostPort } from "../endpoint.ts";
import { err, ok, type Result } from "../result.ts";
import { NO_KEY, parseKey, type WgKey } from "./key.ts";

/** What `wg show IF dump` says. The private key is left out: whoever needs it has the file. */
export interface WgDump {
  /** Null = the interface has no key so far. */
  readonly publicKey: WgKey | null;
  /** 0 = none so far. */
  readonly listenPort: number;
  readonly peers: readonly WgDumpPeer[];
}

export interface WgDumpPeer {
  readonly publicKey: WgKey;
  readonly presharedKey: WgKey | null;
  /** Where it was last heard from; null = not so far. */
  readonly endpoint: Endpoint | null;
  readonly allowedIps: readonly Cidr[];
  /** Seconds since the epoch; null = never. */
  readonly latestHandshakeSec: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** 0 = off. */
  readonly keepaliveSec: number;
}

export interface DumpError {
  readonly message: string;
}

/** The columns of `wg show IF dump` (wg(8)), separated by tabs. */
const DEVICE_COLUMNS = 4;
const PEER_COLUMNS = 8;
const NONE = "(none)";
const OFF = "off";

export function decodeDump(text: string): Result<WgDump, DumpError> {
  const [first = "", ...rest] = text.split("\n").filter((line) => line !== "");
  const device = first.split("\t");
  if (device.length !== DEVICE_COLUMNS) return err(strange("interface", 1));
  const [, publicText = "", portText = ""] = device;
  const publicKey = readKey(publicText);
  const listenPort = readCount(portText);
  if (publicKey === undefined || listenPort === null) return err(strange("interface", 1));
  const peers: WgDumpPeer[] = [];
  for (const [index, line] of rest.entries()) {
    const peer = readPeer(line.split("\t"));
    if (peer === null) return err(strange("peer", index + 2));
    peers.push(peer);
  }
  return ok({ publicKey, listenPort, peers });
}

function readPeer(columns: readonly string[]): WgDumpPeer | null {
  if (columns.length !== PEER_COLUMNS) return null;
  const [publicText = "", presharedText = "", endpointText = "", ipsText = "", ...numbers] = columns;
  const publicKey = readKey(publicText);
  const presharedKey = readKey(presharedText);
  const endpoint = readEndpoint(endpointText);
  const allowedIps = ipsText === NONE ? [] : ipsText.split(",").map(parseCidr);
  const [handshake, received, sent, keepalive] = numbers.map((number) => (number === OFF ? 0 : readCount(number)));
  if (publicKey == null || presharedKey === undefined || endpoint === undefined) return null;
  if (handshake == null || received == null || sent == null || keepalive == null) return null;
  const cidrs: Cidr[] = [];
  for (const cidr of allowedIps) {
    if (!cidr.ok) return null;
    cidrs.push(cidr.value);
  }
  return {
    publicKey,
    presharedKey,
    endpoint,
    allowedIps: cidrs,
    latestHandshakeSec: handshake === 0 ? null : handshake,
    receivedBytes: received,
    sentBytes: sent,
    keepaliveSec: keepalive,
  };
}

/** Null = none; undefined = not a key. */
function readKey(text: string): WgKey | null | undefined {
  if (text === NONE) return null;
  const key = parseKey(text);
  if (!key.ok) return undefined;
  return key.value === NO_KEY ? null : key.value;
}

/** Null = none; undefined = not an endpoint. A zone id (`[fe80::1%2]:51820`) names an interface, and is left out. */
function readEndpoint(text: string): Endpoint | null | undefined {
  if (text === NONE) return null;
  const parsed = parseHostPort(text.replace(/%[^\]]*\]/, "]"));
  return parsed.ok ? { address: parsed.value.host, port: parsed.value.port } : undefined;
}

/** Counters have 64 bits; past 2^53 the last digits are lost, after 8 PiB. */
function readCount(text: string): number | null {
  return /^[0-9]{1,20}$/.test(text) ? Number(text) : null;
}

function strange(what: string, line: number): DumpError {
  return {
    message: `wg says something else about the ${what} than this program knows (line ${line} of wg show dump).`,
  };
}
