import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SOAP_SAMPLES } from "../../../test/fixtures/igd/requests.ts";
import {
  decodeSoapReply,
  decodeSoapRequest,
  encodeSoapFault,
  encodeSoapRequest,
  encodeSoapResponse,
  MAX_SOAP_BYTES,
  type SoapError,
  type SoapReply,
} from "./soap.ts";
import { UPNP_ERRORS, type UpnpErrorName } from "./upnp-error.ts";

const TYPE = "urn:schemas-upnp-org:service:WANIPConnection:1";
const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const envelope = (content: string) =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${content}</s:Body></s:Envelope>`;
const decode = (soapAction: string | null, body: string) => decodeSoapRequest(soapAction, bytesOf(body));

describe("requests of real clients", () => {
  for (const { name, soapAction, body } of SOAP_SAMPLES) {
    const [serviceType = "", action = ""] = soapAction.replaceAll('"', "").split("#");
    test(name, () => expect(decode(soapAction, body)).toMatchObject({ ok: true, value: { serviceType, action } }));
    test(`${name}: cut anywhere it is an error`, () => {
      const bytes = bytesOf(body.trimEnd());
      for (let length = 0; length < bytes.length; length++) {
        expect(decodeSoapRequest(soapAction, bytes.subarray(0, length)).ok).toBe(false);
      }
    });
    test(`${name}: encoded and decoded it is the same`, () => {
      const decoded = decode(soapAction, body);
      if (!decoded.ok) throw new Error(decoded.error.kind);
      const encoded = encodeSoapRequest(decoded.value);
      expect(decodeSoapRequest(encoded.soapAction, encoded.body)).toEqual(decoded);
    });
  }
  test("arguments are as written, in their order", () => {
    const decoded = decode(`"${TYPE}#A"`, envelope(`<u:A xmlns:u="${TYPE}"><b> 1&amp;2 </b><p:a></p:a><c/></u:A>`));
    expect(decoded.ok && [...decoded.value.args]).toEqual([
      ["b", " 1&2 "],
      ["a", ""],
      ["c", ""],
    ]);
  });
});

describe("the SOAPAction header", () => {
  const body = envelope(`<u:A xmlns:u="${TYPE}"/>`);
  const good = [`"${TYPE}#A"`, `${TYPE}#A`, ` "${TYPE}#A"\t`];
  for (const header of good) test(`${header}: taken`, () => expect(decode(header, body).ok).toBe(true));
  const bad: (string | null)[] = [
    null,
    "",
    '"',
    '""',
    '"#"',
    "#",
    "#A",
    '"#A"',
    TYPE,
    `${TYPE}#`,
    `"${TYPE}#A`,
    `${TYPE}#A"`,
    `'${TYPE}#A'`,
    `"${TYPE}#A"#A`,
    `${TYPE}#A#A`,
    `${TYPE} #A`,
    `"${TYPE}#A" x`,
    `${TYPE}#A\0`,
    `"${"x".repeat(300)}#A"`,
  ];
  for (const header of bad) {
    test(`${JSON.stringify(header)}: refused`, () => {
      expect(decode(header, body)).toEqual({ ok: false, error: { kind: "soap-action" } });
    });
  }
});

describe("refused bodies", () => {
  const call = `<u:A xmlns:u="${TYPE}"/>`;
  const table: [body: string, kind: SoapError["kind"]][] = [
    ["", "truncated"],
    ["<a/>", "envelope"],
    ["<Envelope/>", "envelope"],
    ["<Envelope><Body/></Envelope>", "envelope"],
    ["<Envelope><Body>A</Body></Envelope>", "envelope"],
    [`<Envelope><Body>${call}</Body><Body>${call}</Body></Envelope>`, "envelope"],
    [envelope(call + call), "envelope"],
    [envelope(`<u:B xmlns:u="${TYPE}"/>`), "mismatch"],
    [envelope('<u:A xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:2"/>'), "mismatch"],
    [envelope(`<u:A xmlns:u="${TYPE}"><b/><b/></u:A>`), "argument"],
    [envelope(`<u:A xmlns:u="${TYPE}"><b><c/></b></u:A>`), "argument"],
    [`<!DOCTYPE a [<!ENTITY x "y">]>${envelope(call)}`, "dtd"],
    [envelope(`<u:A xmlns:u="${TYPE}">${"<a>".repeat(20)}`), "depth"],
    [envelope(call).padEnd(MAX_SOAP_BYTES + 1), "too-long"],
  ];
  for (const [body, kind] of table) {
    test(`${body.slice(0, 60)}: ${kind}`, () =>
      expect(decode(`"${TYPE}#A"`, body)).toEqual({ ok: false, error: { kind } }));
  }
});

describe("replies", () => {
  const call = { serviceType: TYPE, action: "GetExternalIPAddress" };
  test("a response, byte for byte", () => {
    expect(textOf(encodeSoapResponse(call, new Map([["NewExternalIPAddress", "192.0.2.1"]])))).toBe(
      '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
        `<u:GetExternalIPAddressResponse xmlns:u="${TYPE}"><NewExternalIPAddress>192.0.2.1</NewExternalIPAddress>` +
        "</u:GetExternalIPAddressResponse></s:Body></s:Envelope>\r\n",
    );
  });
  test("a fault, byte for byte", () => {
    expect(textOf(encodeSoapFault("conflictInMappingEntry"))).toContain(
      "<s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>" +
        '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>718</errorCode>' +
        "<errorDescription>ConflictInMappingEntry</errorDescription></UPnPError></detail></s:Fault></s:Body>",
    );
  });
  test("every fault comes back", () => {
    for (const name of Object.keys(UPNP_ERRORS) as UpnpErrorName[]) {
      const { code, description } = UPNP_ERRORS[name];
      expect(decodeSoapReply("A", encodeSoapFault(name))).toEqual({
        ok: true,
        value: { kind: "fault", code, description },
      });
    }
  });
  test("no code stands for two errors", () => {
    const codes = Object.values(UPNP_ERRORS).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });
  test("any outputs come back", () => {
    const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,20}$/);
    const text = fc.string({ unit: "grapheme", maxLength: 40 });
    fc.assert(
      fc.property(fc.dictionary(name, text, { maxKeys: 8 }), (outputs) => {
        const texts = new Map(
          Object.entries(outputs).map(([key, value]) => [key, value.replace(/[^\t\n\r\x20-\ufffd]/g, "")]),
        );
        expect(decodeSoapReply(call.action, encodeSoapResponse(call, texts))).toEqual({
          ok: true,
          value: { kind: "response", outputs: texts },
        });
      }),
    );
  });

  const outputs = (ip: string): SoapReply => ({ kind: "response", outputs: new Map([["NewExternalIPAddress", ip]]) });
  const table: [name: string, body: string, reply: SoapReply][] = [
    [
      "no namespace at all",
      "<Envelope><Body><GetExternalIPAddressResponse><NewExternalIPAddress>192.0.2.1</NewExternalIPAddress></GetExternalIPAddressResponse></Body></Envelope>",
      outputs("192.0.2.1"),
    ],
    [
      "other prefixes, undeclared, and a header",
      "<SOAP-ENV:Envelope><SOAP-ENV:Header/><SOAP-ENV:Body><m:GetExternalIPAddressResponse><m:NewExternalIPAddress/></m:GetExternalIPAddressResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>",
      outputs(""),
    ],
    [
      "a fault with prefixes",
      envelope(
        "<s:Fault><faultcode>s:Client</faultcode><detail><u:UPnPError><u:errorCode> 725 </u:errorCode></u:UPnPError></detail></s:Fault>",
      ),
      { kind: "fault", code: 725, description: "" },
    ],
    [
      "a fault without a UPnP error",
      envelope("<s:Fault><faultstring>no</faultstring></s:Fault>"),
      { kind: "fault", code: null, description: "no" },
    ],
    [
      "a fault whose code is no number",
      envelope("<s:Fault><detail><UPnPError><errorCode>-1</errorCode></UPnPError></detail></s:Fault>"),
      { kind: "fault", code: null, description: "" },
    ],
  ];
  for (const [name, body, reply] of table) {
    test(name, () => expect(decodeSoapReply(call.action, bytesOf(body))).toEqual({ ok: true, value: reply }));
    test(`${name}: cut anywhere it is an error`, () => {
      for (let length = 0; length < body.length; length++) {
        expect(decodeSoapReply(call.action, bytesOf(body.slice(0, length))).ok).toBe(false);
      }
    });
  }
  test("another action's answer", () => {
    const body = encodeSoapResponse({ serviceType: TYPE, action: "B" }, new Map());
    expect(decodeSoapReply("A", body)).toEqual({ ok: false, error: { kind: "mismatch" } });
  });
});

describe("an output that is a document of its own", () => {
  const table: readonly (readonly [name: string, document: string, written: string])[] = [
    [
      "is CDATA, which miniupnpc reads",
      '<?xml version="1.0"?><a>&lt;</a>',
      '<![CDATA[<?xml version="1.0"?><a>&lt;</a>]]>',
    ],
    ["may end CDATA itself", "<?xml ?>]]>", "<![CDATA[<?xml ?>]]]]><![CDATA[>]]>"],
    ["is escaped where CDATA would change it", "<?xml ?>\r\n", "&lt;?xml ?&gt;&#13;\n"],
  ];
  test.each(table)("%s", (_name, document, written) => {
    const call = { serviceType: TYPE, action: "A" };
    const body = encodeSoapResponse(call, new Map([["B", document]]));
    expect(textOf(body)).toContain(`<B>${written}</B>`);
    const outputs = new Map([["B", document]]);
    expect(decodeSoapReply("A", body)).toEqual({ ok: true, value: { kind: "response", outputs } });
  });
});
