import { err, ok, type Result } from "../result.ts";
import { tidiedXml } from "./tidied-xml.ts";
import { UPNP_ERRORS, type UpnpErrorName } from "./upnp-error.ts";
import {
  documentElement,
  escapeXml,
  readXml,
  textElement,
  XML_DECLARATION,
  type XmlElement,
  type XmlError,
} from "./xml.ts";

/** The call of an action: SOAP 1.1 as UPnP Device Architecture 1.1 §3 narrows it. */
export interface SoapRequest {
  /** `urn:schemas-upnp-org:service:WANIPConnection:1` */
  readonly serviceType: string;
  readonly action: string;
  /** In the order of the message; texts as written. */
  readonly args: ReadonlyMap<string, string>;
}

export type SoapError =
  | XmlError
  /** The SOAPAction header is missing, or is not TYPE#ACTION with both quotes or none. */
  | { readonly kind: "soap-action" }
  /** Not an Envelope with a Body of one element. */
  | { readonly kind: "envelope" }
  /** The Body holds something else than the SOAPAction header, or the caller, said. */
  | { readonly kind: "mismatch" }
  /** An argument stands twice, or is not plain text. */
  | { readonly kind: "argument" };

export const SOAP_CONTENT_TYPE = 'text/xml; charset="utf-8"';
/** UPnP Device Architecture 1.1 §3: each fault is an HTTP 500. */
export const SOAP_FAULT_STATUS = 500;
/** The longest request of a known client is 1 KiB. */
export const MAX_SOAP_BYTES = 8192;

const MAX_SOAP_ACTION_CHARS = 256;
const ENVELOPE_NAMESPACE = "http://schemas.xmlsoap.org/soap/envelope/";
const ENCODING_STYLE = "http://schemas.xmlsoap.org/soap/encoding/";
const CONTROL_NAMESPACE = "urn:schemas-upnp-org:control-1-0";

/** `soapAction`: the header's value as it came; null = there was none. */
export function decodeSoapRequest(soapAction: string | null, body: Uint8Array): Result<SoapRequest, SoapError> {
  const named = readSoapAction(soapAction);
  if (named === null) return err({ kind: "soap-action" });
  const content = readEnvelope(body);
  if (!content.ok) return content;
  const { name, namespace } = content.value;
  // One answer to "which action": a header that says another than the body must not choose the rules for it.
  const unnamed = namespace === null || namespace === ENVELOPE_NAMESPACE;
  if (name !== named.action || !(unnamed || namespace === named.serviceType)) return err({ kind: "mismatch" });
  const args = readArguments(content.value);
  return args === null ? err({ kind: "argument" }) : ok({ ...named, args });
}

function readSoapAction(header: string | null): { serviceType: string; action: string } | null {
  if (header === null || header.length > MAX_SOAP_ACTION_CHARS) return null;
  let value = header.trim();
  // A lone quote is both the first and the last character (CVE-2026-5720).
  if (value.length >= 2 && value.startsWith('"') && value.endsWith('"')) value = value.slice(1, -1);
  const match = /^([A-Za-z0-9:._-]+)#([A-Za-z_][A-Za-z0-9_.-]*)$/.exec(value);
  return match === null ? null : { serviceType: match[1] ?? "", action: match[2] ?? "" };
}

/** The one element in the Body. Prefixes and namespaces of the envelope do not matter: clients and routers leave them out. */
function readEnvelope(bytes: Uint8Array, maxBytes: number = MAX_SOAP_BYTES): Result<XmlElement, SoapError> {
  const envelope = readXml(bytes, maxBytes);
  if (!envelope.ok) return envelope;
  const bodies = envelope.value.children.filter(({ name }) => name === "Body");
  const [content, ...more] = bodies[0]?.children ?? [];
  if (envelope.value.name !== "Envelope" || bodies.length !== 1 || content === undefined || more.length > 0) {
    return err({ kind: "envelope" });
  }
  return ok(content);
}

function readArguments(element: XmlElement): Map<string, string> | null {
  const args = new Map<string, string>();
  for (const { name, text, children } of element.children) {
    if (children.length > 0 || args.has(name)) return null;
    args.set(name, text);
  }
  return args;
}

function encodeEnvelope(content: string): Uint8Array {
  const attributes = `xmlns:s="${ENVELOPE_NAMESPACE}" s:encodingStyle="${ENCODING_STYLE}"`;
  return new TextEncoder().encode(
    `${XML_DECLARATION}<s:Envelope ${attributes}><s:Body>${content}</s:Body></s:Envelope>\r\n`,
  );
}

function actionElement(name: string, serviceType: string, args: ReadonlyMap<string, string>): string {
  const content = Array.from(args, ([argument, text]) =>
    (text.startsWith("<?xml ") ? documentElement : textElement)(argument, text),
  ).join("");
  return `<u:${name} xmlns:u="${escapeXml(serviceType)}">${content}</u:${name}>`;
}

export function encodeSoapRequest(request: SoapRequest): { readonly soapAction: string; readonly body: Uint8Array } {
  const { serviceType, action, args } = request;
  return {
    soapAction: `"${serviceType}#${action}"`,
    body: encodeEnvelope(actionElement(action, serviceType, args)),
  };
}

/** `outputs` in the order in which the service's description names them: some clients count. */
export function encodeSoapResponse(
  { serviceType, action }: Pick<SoapRequest, "serviceType" | "action">,
  outputs: ReadonlyMap<string, string>,
): Uint8Array {
  return encodeEnvelope(actionElement(`${action}Response`, serviceType, outputs));
}

/** The body to send with SOAP_FAULT_STATUS. */
export function encodeSoapFault(error: UpnpErrorName): Uint8Array {
  const { code, description } = UPNP_ERRORS[error];
  const detail = textElement("errorCode", String(code)) + textElement("errorDescription", description);
  return encodeEnvelope(
    "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring>" +
      `<detail><UPnPError xmlns="${CONTROL_NAMESPACE}">${detail}</UPnPError></detail></s:Fault>`,
  );
}

export type SoapReply =
  | { readonly kind: "response"; readonly outputs: ReadonlyMap<string, string> }
  /** `code`: of UPNP_ERRORS, or the router's own; null when it gave none. */
  | { readonly kind: "fault"; readonly code: number | null; readonly description: string };

/** What a router answered to `action`, whatever its HTTP status. `maxBytes`: a list is longer than other answers. */
export function decodeSoapReply(
  action: string,
  body: Uint8Array,
  maxBytes: number = MAX_SOAP_BYTES,
): Result<SoapReply, SoapError> {
  const content = readEnvelope(tidiedXml(body, maxBytes), maxBytes);
  if (!content.ok) return content;
  if (content.value.name === "Fault") return ok(readFault(content.value));
  if (content.value.name !== `${action}Response`) return err({ kind: "mismatch" });
  const outputs = readArguments(content.value);
  return outputs === null ? err({ kind: "argument" }) : ok({ kind: "response", outputs });
}

function readFault(fault: XmlElement): SoapReply {
  const code = find(fault, "errorCode")?.text.trim() ?? "";
  const description = find(fault, "errorDescription") ?? find(fault, "faultstring");
  return {
    kind: "fault",
    code: /^[0-9]{1,4}$/.test(code) ? Number(code) : null,
    description: description?.text.trim() ?? "",
  };
}

/** The first descendant of this name; the reader bounds the depth. */
function find(element: XmlElement, name: string): XmlElement | null {
  for (const child of element.children) {
    const found = child.name === name ? child : find(child, name);
    if (found !== null) return found;
  }
  return null;
}
