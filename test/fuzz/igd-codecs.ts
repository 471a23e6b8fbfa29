import { decodeAction, encodeAction } from "../../src/wire/igd/actions.ts";
import { decodeSoapReply, decodeSoapRequest, encodeSoapFault, encodeSoapRequest } from "../../src/wire/igd/soap.ts";
import { decodeSearch, decodeSearchReply, encodeSearch, encodeSearchReply } from "../../src/wire/igd/ssdp.ts";
import { escapeXml, readXml, type XmlElement } from "../../src/wire/igd/xml.ts";
import { SEARCH_SAMPLES, SOAP_SAMPLES } from "../fixtures/igd/requests.ts";
import { SEARCH_REPLY_SAMPLES } from "../fixtures/igd/routers.ts";
import { type FuzzCodec, latin1, must, mustBeResult, mustBeSmall, mustEqual, text } from "./codec.ts";

const MAX_XML_BYTES = 8192;

/** Only what the reader keeps: attributes other than namespaces are gone. */
function written({ name, namespace, text, children }: XmlElement): string {
  const xmlns = namespace === null ? "" : ` xmlns="${escapeXml(namespace)}"`;
  return `<${name}${xmlns || ' xmlns=""'}>${escapeXml(text)}${children.map(written).join("")}</${name}>`;
}

/** A request as it comes: the SOAPAction header, a line end, the body. */
function splitRequest(input: Uint8Array): { soapAction: string | null; body: Uint8Array } {
  const lineEnd = input.indexOf(0x0a);
  if (lineEnd < 0) return { soapAction: null, body: input };
  return { soapAction: Buffer.from(input.subarray(0, lineEnd)).toString("latin1"), body: input.subarray(lineEnd + 1) };
}

const requests = SOAP_SAMPLES.map(({ soapAction, body }) => `${soapAction}\n${body}`);
/** CVE-2026-5720: what is left of a quoted text when there is one quote. */
const brokenHeaders = ['"', '""', "#", '"#"', '"urn:x#', ""].map((header) => `${header}\n${SOAP_SAMPLES[0]?.body}`);

export const announcement = {
  target: { kind: "device", domain: "schemas-upnp-org", type: "InternetGatewayDevice", version: 1 },
  uuid: "2fac1234-31f8-11b4-a222-08002b34c003",
  location: "http://192.168.1.1:5000/rootDesc.xml",
  server: "Linux/6 UPnP/1.1 MiniUPnPd/2.3.1",
  bootId: 1,
  configId: 1337,
} as const;

export const igd: readonly FuzzCodec[] = [
  {
    name: "igd-xml",
    seeds: text(
      ...SOAP_SAMPLES.map(({ body }) => body),
      '<?xml version="1.0"?><!-- c --><p:a xmlns:p="urn:x" xmlns=\'y\'><b c="&#65;">&lt;&#x42;<![CDATA[<]]></b></p:a>',
      '<!DOCTYPE lol [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><lol>&b;</lol>',
      "<a>".repeat(100),
      `<a>${"&".repeat(500)}</a>`,
    ),
    check(input) {
      const read = readXml(input, MAX_XML_BYTES);
      mustBeResult(read);
      if (!read.ok) return false;
      const again = readXml(new TextEncoder().encode(written(read.value)), MAX_XML_BYTES * 8);
      mustEqual(again, read, "reading what was written");
      return true;
    },
  },
  {
    name: "igd-request",
    seeds: text(...requests, ...brokenHeaders),
    check(input) {
      const { soapAction, body } = splitRequest(input);
      const decoded = decodeSoapRequest(soapAction, body);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const encoded = encodeSoapRequest(decoded.value);
      const again = decodeSoapRequest(encoded.soapAction, encoded.body);
      mustEqual(again, decoded, "decoding what was encoded");
      const call = decodeAction(decoded.value, 2);
      mustBeResult(call);
      if (call.ok) mustEqual(decodeAction(encodeAction(call.value), 2), call, "decoding the call that was encoded");
      return true;
    },
  },
  {
    name: "igd-reply",
    seeds: [
      encodeSoapFault("conflictInMappingEntry"),
      ...text(
        "<Envelope><Body><AResponse><NewExternalIPAddress>192.0.2.1</NewExternalIPAddress></AResponse></Body></Envelope>",
        '<s:Envelope xmlns:s="x"><s:Body><u:AResponse xmlns:u="y"/></s:Body></s:Envelope>',
        "<Envelope><Body><Fault><faultstring>no</faultstring><detail/></Fault></Body></Envelope>",
      ),
    ],
    check(input) {
      const decoded = decodeSoapReply("A", input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      if (decoded.value.kind === "fault") mustBeSmall(decoded.value.description.length, input.length);
      return true;
    },
  },
  {
    name: "ssdp-search",
    seeds: latin1(
      ...SEARCH_SAMPLES.map(({ datagram }) => datagram),
      'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nST: uuid:2fac1234-31f8-11b4-a222-08002b34c003\r\n\r\n',
      `M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\nMX: 1\r\nX: ${" ".repeat(1000)}x\r\n\r\n`,
    ),
    check(input) {
      const decoded = decodeSearch(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      must((decoded.value.maxWaitSec ?? 0) <= 5, "a wait is bounded");
      const encoded = encodeSearch(decoded.value);
      mustBeSmall(encoded.length, input.length);
      mustEqual(decodeSearch(encoded), decoded, "decoding what was encoded");
      return true;
    },
  },
  {
    name: "ssdp-reply",
    seeds: [
      encodeSearchReply(announcement),
      ...latin1(...SEARCH_REPLY_SAMPLES.map(({ datagram }) => datagram)),
      ...latin1("HTTP/1.0 200\nLOCATION:http://[fe80::1]:80/\nST:upnp:rootdevice\nUSN:uuid:x::upnp:rootdevice\n"),
    ],
    check(input) {
      const decoded = decodeSearchReply(input);
      mustBeResult(decoded);
      return decoded.ok;
    },
  },
];
