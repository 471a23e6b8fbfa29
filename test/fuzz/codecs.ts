import {
  addressBytes,
  addressFromBytes,
  classifyAddress,
  compileCidrs,
  parseAddress,
  parseCidr,
  sourceKey,
} from "../../src/wire/address.ts";
import { formatHostPort, parseHostPort } from "../../src/wire/endpoint.ts";
import { encodeConnectRequest, newConnectParser } from "../../src/wire/http-connect.ts";
import { formatPortSet, parsePortSet, settleProtocol } from "../../src/wire/port-set.ts";
import {
  decodeProxyHeader,
  encodeProxyHeader,
  newProxyHeaderReader,
  newProxySignatureWatch,
} from "../../src/wire/proxy-protocol.ts";
import {
  decodeSocks4Reply,
  decodeSocks4Request,
  decodeSocks5Greeting,
  decodeSocks5Method,
  decodeSocks5Reply,
  decodeSocks5Request,
  decodeSocksCredentials,
  decodeSocksCredentialsReply,
  decodeSocksDatagram,
  encodeSocks4Request,
  encodeSocks5Greeting,
  encodeSocks5Request,
  encodeSocksCredentials,
  encodeSocksCredentialsReply,
  encodeSocksDatagram,
  encodeSocksErrorReply,
  newSocksServerParser,
  type SocksMessage,
} from "../../src/wire/socks.ts";
import { formatSshForward, parseSshForward } from "../../src/wire/ssh-forward.ts";
import { renderTextError } from "../../src/wire/text-error.ts";
import { acme } from "./acme-codecs.ts";
import { api } from "./api-codecs.ts";
import { backup } from "./backup-codecs.ts";
import { check } from "./check-codecs.ts";
import {
  type FuzzCodec,
  hex,
  latin1,
  messageCodec,
  must,
  mustBeResult,
  mustBeSmall,
  mustEqual,
  streamCodec,
  text,
  textCodec,
} from "./codec.ts";
import { handover } from "./handover-codecs.ts";
import { helper } from "./helper-codecs.ts";
import { igdClient } from "./igd-client-codecs.ts";
import { igd } from "./igd-codecs.ts";
import { igdServer } from "./igd-server.ts";
import { deviceIdentity, joinCode } from "./join-code-codecs.ts";
import { mapping } from "./mapping-codecs.ts";
import { names } from "./names-codecs.ts";
import { ping } from "./ping-codecs.ts";
import { portmapClient } from "./portmap-client-codecs.ts";
import { portmap } from "./portmap-codecs.ts";
import { presets } from "./preset-codecs.ts";
import { release } from "./release-codecs.ts";
import { routes } from "./routes-codecs.ts";
import { ssh } from "./ssh-codecs.ts";
import { stun } from "./stun-codecs.ts";
import { tunnel } from "./tunnel-codecs.ts";
import { vpn } from "./vpn-codecs.ts";

const V2 = "0d0a0d0a000d0a515549540a";

function valueOrNull<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false }): T | null {
  return result.ok ? result.value : null;
}

const addresses: readonly FuzzCodec[] = [
  textCodec({
    name: "address",
    seeds: text("192.0.2.7", "::", "::1", "2001:db8:0:1::7:8", "::ffff:192.0.2.7", "1:2:3:4:5:6:7:8", "fe80::1%eth0"),
    parse: parseAddress,
    print: (address) => address,
    more(address) {
      const bytes = addressBytes(address);
      must(bytes !== null && addressFromBytes(bytes) === address, "bytes and back");
      must(classifyAddress(address) !== undefined && sourceKey(address) !== "", "has a class and a source key");
      mustEqual(sourceKey(sourceKey(address).replace("/64", "")), sourceKey(address), "a source key is stable");
    },
  }),
  textCodec({
    name: "cidr",
    seeds: text("192.0.2.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "::ffff:10.0.0.0/104", "10.1.2.3", "::1/128"),
    parse: parseCidr,
    print: (cidr) => cidr,
    more(cidr) {
      const base = cidr.slice(0, cidr.indexOf("/"));
      must(compileCidrs([cidr]).contains(base), "a network holds its first address");
      must(!compileCidrs([]).contains(base), "an empty set holds nothing");
    },
  }),
];

const texts: readonly FuzzCodec[] = [
  textCodec({
    name: "host-port",
    seeds: text("example.com:80", "[2001:db8::7]:443", ":7744", "*:80", "8080", "my_host-1.", "[::1]", "1.2.3.4:65535"),
    parse: (written) => parseHostPort(written, { defaultHost: "0.0.0.0", defaultPort: 7744, allowPortZero: true }),
    print: ({ host, port }) => formatHostPort(host, port),
  }),
  textCodec({
    name: "port-set",
    seeds: text(
      "8840",
      "8840, 8820",
      "8810-8815",
      "80/tcp, 1000-2000/udp 53/tcp+udp",
      "8000:80",
      "8000-8010:9000-9010/tcp",
      "8000-8010:9000",
      "8815-8810, 80/tpc, 70000",
      "80;81, 8810–8815, tcp/80",
    ),
    parse: parsePortSet,
    print: formatPortSet,
    more(set) {
      const mappings = settleProtocol(set, "tcp+udp");
      must(mappings.length <= 2 * set.ranges.length, "settling adds no ranges beyond the second protocol");
      const ports = mappings.reduce((sum, { first, last }) => sum + last - first + 1, 0);
      must(ports <= 2 * 65_535, "no port is counted twice");
    },
  }),
  {
    name: "port-set-error",
    seeds: text("8815-8810, 80/tpc", "80;81", "8810 - 8815", "70000", "80/tcp:8080", "80:81, 80:82", "\t\n,"),
    check(input) {
      const written = new TextDecoder().decode(input);
      const parsed = parsePortSet(written);
      if (parsed.ok) return false;
      mustBeSmall(renderTextError(written, parsed.error).length, 2 * input.length);
      const { suggestion } = parsed.error;
      if (suggestion !== undefined) must(!/[;|–]/.test(suggestion), "a suggestion has no slip of its own");
      return true;
    },
  },
  ...(["-L", "-R", "-D"] as const).map((flag) =>
    textCodec({
      name: `ssh-forward${flag.toLowerCase()}`,
      seeds: text(
        "8080:example.com:80",
        "*:8080:[2001:db8::1]:80",
        "[::1]:8080:localhost:80",
        "1080",
        ":1080",
        "/a:/b",
      ),
      parse: (written) => parseSshForward(flag, written),
      print: formatSshForward,
    }),
  ),
];

const proxySeeds = [
  ...latin1(
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /",
    "PROXY TCP6 2001:db8::1 ::ffff:c633:6402 56324 443\r\n",
    "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
  ),
  ...hex(
    `${V2}2111000cc0000201c6336402dc0401bb474554`,
    `${V2}21220024${"20".repeat(32)}dc0401bb`,
    `${V2}20000000`,
    `${V2}21000003010203`,
    `${V2}21110013c0000201c6336402dc0401bb04000400000000`,
    `${V2}213100d8${"00".repeat(216)}`,
  ),
];

const proxyProtocol: readonly FuzzCodec[] = [
  messageCodec({
    name: "proxy-protocol",
    seeds: proxySeeds,
    decode(bytes) {
      const decoded = decodeProxyHeader(bytes);
      if (!decoded.ok) return decoded;
      if (decoded.value === null) return { ok: true, value: null } as const;
      const { version, header, length } = decoded.value;
      return { ok: true, value: { value: { version, header }, length } } as const;
    },
    encode: ({ version, header }) => encodeProxyHeader(version, header),
  }),
  streamCodec({
    name: "proxy-protocol-stream",
    seeds: proxySeeds,
    feed(chunks) {
      const reader = newProxyHeaderReader();
      for (const [index, chunk] of chunks.entries()) {
        const step = reader.push(chunk);
        if (!step.ok) return { accepted: false, outcome: step.error };
        if (step.value === null) continue;
        const rest = Buffer.concat([step.value.rest, ...chunks.slice(index + 1)]).toString("hex");
        return { accepted: true, outcome: { decoded: step.value.decoded, rest } };
      }
      return { accepted: false, outcome: null };
    },
  }),
  streamCodec({
    name: "proxy-protocol-signature",
    seeds: proxySeeds,
    feed(chunks) {
      const watch = newProxySignatureWatch();
      for (const chunk of chunks) {
        const seen = watch.push(chunk);
        if (seen !== null) return { accepted: seen, outcome: seen };
      }
      return { accepted: false, outcome: null };
    },
  }),
];

const socksRequests = hex(
  "05 01 00 03 0b 6578616d706c652e636f6d 0050",
  "05 03 00 01 00000000 0000",
  `05 02 00 04 ${"20".repeat(16)} 01bb`,
);
const socks4Requests = hex(
  "04 01 0050 c0000207 6d65 00",
  "04 01 0050 00000001 00 6578616d706c652e636f6d 00",
  "04 02 0050 00000009 6d65 00 3a3a31 00",
);

const socks: readonly FuzzCodec[] = [
  messageCodec({
    name: "socks5-greeting",
    seeds: hex("050100", "05020002", "0500", `05ff${"02".repeat(255)}`),
    decode: decodeSocks5Greeting,
    encode: encodeSocks5Greeting,
  }),
  messageCodec({
    name: "socks5-method",
    seeds: hex("0500", "05ff"),
    decode: decodeSocks5Method,
    encode: (method) => Uint8Array.from([5, method]),
  }),
  messageCodec({
    name: "socks5-credentials",
    seeds: hex("01 04 7a6fc3ab 01 70", "01 00 00", `01 ff ${"61".repeat(255)} ff ${"62".repeat(255)}`),
    decode: decodeSocksCredentials,
    encode: (credentials) => valueOrNull(encodeSocksCredentials(credentials)),
  }),
  messageCodec({
    name: "socks5-credentials-reply",
    seeds: hex("0100", "0101"),
    decode: decodeSocksCredentialsReply,
    encode: encodeSocksCredentialsReply,
  }),
  messageCodec({
    name: "socks5-request",
    seeds: socksRequests,
    decode: decodeSocks5Request,
    encode: (request) => valueOrNull(encodeSocks5Request(request)),
  }),
  messageCodec({
    name: "socks5-reply",
    seeds: hex("05 00 00 01 c0000207 0438", `05 05 00 04 ${"20".repeat(16)} 0000`, "05 00 00 03 03 616263 0050"),
    decode: decodeSocks5Reply,
    encode: () => null,
  }),
  messageCodec({
    name: "socks4-request",
    seeds: socks4Requests,
    decode: decodeSocks4Request,
    encode: (request) => valueOrNull(encodeSocks4Request(request)),
  }),
  messageCodec({
    name: "socks4-reply",
    seeds: hex("00 5a 0438 c0000207", "00 5b 0000 00000000"),
    decode: decodeSocks4Reply,
    encode: () => null,
  }),
  {
    name: "socks5-datagram",
    seeds: hex(
      "000000 01 c0000207 0035 010203",
      `000000 04 ${"20".repeat(16)} 0035`,
      "000000 03 0b 6578616d706c652e636f6d 0035 010203",
      "000001 01 c0000207 0035 010203",
    ),
    check(input) {
      const decoded = decodeSocksDatagram(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const encoded = encodeSocksDatagram(decoded.value);
      if (!encoded.ok) throw new Error("a decoded destination encodes");
      mustEqual(decodeSocksDatagram(encoded.value), decoded, "decoding what was encoded");
      return true;
    },
  },
  streamCodec({
    name: "socks-server",
    seeds: [
      ...socks4Requests,
      ...hex(
        "05 01 00 05 01 00 03 0b 6578616d706c652e636f6d 0050 16030100",
        "05 02 00 02 01 01 75 01 70 05 01 00 01 c0000207 0050 616263",
        "05 01 02 01 00 00 05 03 00 01 00000000 0000",
      ),
    ],
    feed: feedSocks,
  }),
];

/** A server that asks for a password when the client offers one. */
function feedSocks(chunks: readonly Uint8Array[]): { accepted: boolean; outcome: unknown } {
  const parser = newSocksServerParser();
  const messages: SocksMessage[] = [];
  for (const [index, chunk] of chunks.entries()) {
    let step = parser.push(chunk);
    while (step.ok && step.value !== null) {
      const message = step.value;
      messages.push(message);
      if (message.kind === "request") {
        const rest = Buffer.concat([parser.rest(), ...chunks.slice(index + 1)]).toString("hex");
        return { accepted: true, outcome: { messages, rest } };
      }
      step = parser.expect(message.kind === "greeting" && message.methods.includes(2) ? "credentials" : "request");
    }
    if (!step.ok) {
      const reply = encodeSocksErrorReply(parser.version(), step.error);
      return { accepted: false, outcome: { messages, error: step.error, reply } };
    }
  }
  return { accepted: messages.length > 0, outcome: messages };
}

const httpConnect: readonly FuzzCodec[] = [
  streamCodec({
    name: "http-connect",
    seeds: latin1(
      "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: curl/8\r\n\r\n\x16\x03\x01",
      "CONNECT [2001:db8::1]:80 HTTP/1.0\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nproxy-authorization: bearer x\r\nX: \t y \t\r\n\r\n",
      "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
    ),
    feed(chunks) {
      const parser = newConnectParser();
      for (const [index, chunk] of chunks.entries()) {
        const step = parser.push(chunk);
        mustBeResult(step);
        if (!step.ok) return { accepted: false, outcome: step.error };
        if (step.value === null) continue;
        const { request } = step.value;
        const encoded = encodeConnectRequest(request);
        if (!encoded.ok) throw new Error("a decoded request encodes");
        const again = newConnectParser().push(encoded.value);
        if (request.authorization.kind !== "other") {
          mustEqual(again.ok && again.value?.request, request, "decoding what was encoded");
        }
        const rest = Buffer.concat([step.value.rest, ...chunks.slice(index + 1)]).toString("hex");
        return { accepted: true, outcome: { request, rest } };
      }
      return { accepted: false, outcome: null };
    },
  }),
];

/** Every parser of bytes or text from outside. Add a codec here and `npm test` mutates it. */
export const codecs: readonly FuzzCodec[] = [
  ...addresses,
  ...names,
  ...texts,
  ...proxyProtocol,
  ...socks,
  ...httpConnect,
  ...tunnel,
  ...joinCode,
  ...ssh,
  ...deviceIdentity,
  ...mapping,
  ...portmap,
  ...portmapClient,
  ...routes,
  ...igd,
  ...igdClient,
  ...igdServer,
  ...stun,
  ...vpn,
  ...ping,
  ...handover,
  ...helper,
  ...backup,
  ...check,
  ...presets,
  ...acme,
  ...api,
  ...release,
];
