import { decodeDescription } from "../../src/wire/igd/description-reader.ts";
import { newHttpReplyReader } from "../../src/wire/igd/http-reply.ts";
import { formatHttpUrl, parseHttpUrl, resolveHttpUrl } from "../../src/wire/igd/http-url.ts";
import { decodePortListing, renderPortListing } from "../../src/wire/igd/port-listing.ts";
import { encodeAlive, encodeByebye } from "../../src/wire/igd/ssdp.ts";
import { decodeNotification } from "../../src/wire/igd/ssdp-notify.ts";
import { tidiedXml } from "../../src/wire/igd/tidied-xml.ts";
import { CONTROL_REPLY_SAMPLES, ROUTER_SAMPLES } from "../fixtures/igd/routers.ts";
import { type FuzzCodec, latin1, must, mustBeResult, mustBeSmall, mustEqual, streamCodec, text } from "./codec.ts";
import { announcement } from "./igd-codecs.ts";

const LOCATION = { address: "192.168.1.1", port: 5000, path: "/dir/rootDesc.xml" };
const listed = {
  remoteHost: null,
  externalPort: 8080,
  protocol: "tcp",
  internalPort: 80,
  internalClient: "192.168.1.5",
  enabled: true,
  description: "a<b",
  leaseSec: 60,
} as const;
const MAX_REPLY_BODY_BYTES = 1024;

/** What control points read of routers. */
export const igdClient: readonly FuzzCodec[] = [
  streamCodec({
    name: "http-reply",
    seeds: latin1(
      ...CONTROL_REPLY_SAMPLES.map(({ reply }) => reply),
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n",
      "HTTP/1.0 200\nContent-Length:2\n\nabc",
    ),
    feed(chunks) {
      const reader = newHttpReplyReader({ maxBodyBytes: MAX_REPLY_BODY_BYTES });
      // Which piece makes it whole depends on the cut; what it says then, and at the end, does not.
      let framed: unknown = null;
      for (const chunk of chunks) {
        const read = reader.push(chunk);
        mustBeResult(read);
        if (read.ok && read.value !== null) {
          must(read.value.body.length <= MAX_REPLY_BODY_BYTES, "a body is bounded");
          framed ??= read.value;
        }
      }
      const end = reader.end();
      mustBeResult(end);
      return { accepted: end.ok, outcome: end.ok ? { framed, end } : end };
    },
  }),
  {
    name: "igd-description",
    seeds: [
      ...latin1(...ROUTER_SAMPLES.map(({ description }) => description)),
      ...text(
        "<root><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:2</deviceType></device></root>",
      ),
    ],
    check(input) {
      const decoded = decodeDescription(input);
      mustBeResult(decoded);
      const tidied = tidiedXml(input, input.length);
      mustEqual(tidiedXml(tidied, tidied.length), tidied, "what is tidied stays as it is");
      if (!decoded.ok) return false;
      const { services, uuids, friendlyName } = decoded.value;
      must(services.length <= 64 && uuids.length <= 64, "lists are bounded");
      must(!/\p{C}/u.test(friendlyName ?? ""), "a label has no control characters");
      mustBeSmall(JSON.stringify(decoded.value).length, 2 * input.length);
      return true;
    },
  },
  {
    name: "http-url",
    seeds: text(
      "http://192.168.1.1:80/ctl?a=b",
      "/ctl/IPConn",
      "../x",
      "//[fe80::1%25eth0]:80/x",
      "http://[::ffff:192.168.1.1]/",
      "http://router.lan/",
      "http://0x7f.1/",
    ),
    check(input) {
      const written = new TextDecoder().decode(input);
      const resolved = resolveHttpUrl(LOCATION, written);
      if (resolved === null) return false;
      must(/^\/[\x21-\x7e]*$/.test(resolved.path), "a path goes into a request line");
      mustBeSmall(resolved.path.length, 3 * input.length);
      mustEqual(parseHttpUrl(formatHttpUrl(resolved)), resolved, "parsing what was formatted");
      return true;
    },
  },
  {
    name: "ssdp-notify",
    seeds: [
      encodeAlive("239.255.255.250:1900", announcement),
      encodeByebye("239.255.255.250:1900", announcement),
      ...latin1(
        "NOTIFY * HTTP/1.1\nNT:upnp:rootdevice\nNTS:ssdp:update\nUSN:uuid:x::upnp:rootdevice\nNEXTBOOTID.UPNP.ORG:2\n",
      ),
    ],
    check(input) {
      const decoded = decodeNotification(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const { uuid, bootId, nextBootId } = decoded.value;
      must(uuid !== "", "a device has an identity");
      for (const id of [bootId, nextBootId]) must(id === null || Number.isSafeInteger(id), "a start number is one");
      return true;
    },
  },
  {
    name: "igd-port-listing",
    seeds: text(
      renderPortListing([listed, { ...listed, protocol: "udp", remoteHost: "198.51.100.7", enabled: false }]),
      "<l><PortMappingEntry><NewExternalPort>1</NewExternalPort><NewInternalPort>2</NewInternalPort><NewProtocol>udp</NewProtocol></PortMappingEntry></l>",
    ),
    check(input) {
      const decoded = decodePortListing(new TextDecoder().decode(input));
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      mustEqual(decodePortListing(renderPortListing(decoded.value)), decoded, "decoding what was rendered");
      return true;
    },
  },
];
