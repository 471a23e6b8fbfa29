import { parseAddress } from "../../wire/address.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import { decodeAction } from "../../wire/igd/actions.ts";
import type { HttpError, HttpRequest, HttpResponse } from "../../wire/igd/http.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import {
  decodeSoapRequest,
  encodeSoapFault,
  encodeSoapResponse,
  SOAP_CONTENT_TYPE,
  SOAP_FAULT_STATUS,
  type SoapError,
} from "../../wire/igd/soap.ts";
import type { UpnpErrorName } from "../../wire/igd/upnp-error.ts";
import { versionFor } from "./client-version.ts";
import { dispatch } from "./dispatch.ts";
import type { Gateway } from "./gateway.ts";
import type { Resource, Site } from "./site.ts";

/** What the HTTP side of the gateway answers by. */
export interface Answering {
  readonly site: Site;
  readonly gateway: Gateway;
  readonly highest: IgdVersion;
  /** `OS/VERSION UPnP/1.1 PRODUCT/VERSION` */
  readonly serverName: string;
  /** Why a client did not get what it asked for: one sentence. */
  onRefused(message: string): void;
  /** The gateway itself failed (no disk, no kernel). */
  onFailed(error: unknown): void;
}

/** `requester`: where it came from; `local`: the address and port that it came in by. */
export async function answerRequest(
  request: HttpRequest,
  requester: string,
  local: Endpoint,
  answering: Answering,
): Promise<HttpResponse> {
  const reply = (status: HttpResponse["status"], headers: HttpResponse["headers"] = []): HttpResponse =>
    emptyResponse(status, answering.serverName, headers);
  // A page that a browser shows gets nothing, neither by a name that leads here (DNS rebinding) nor across origins.
  if (!namesUs(request, local) || request.headers.has("origin")) return reply(403);
  const resource = answering.site.resource(request.path);
  if (resource === null) return reply(404);
  switch (request.method) {
    case "GET":
    case "HEAD":
      if (resource.kind === "control") return reply(405, [["Allow", "POST"]]);
      return describe(resource, request, answering) ?? reply(404);
    case "POST":
      if (resource.kind !== "control") return reply(405, [["Allow", "GET, HEAD"]]);
      return await control(resource.service, request, requester, answering);
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
      // No events (CallStranger, CVE-2020-12695): eventSubURL is empty and no variable is evented, which is UPnP Device
      // Architecture 1.1 §2.3's way to say so. Who subscribes all the same hears what miniupnpd says without events.
      return reply(501);
    default:
      return reply(405, [["Allow", resource.kind === "control" ? "POST" : "GET, HEAD"]]);
  }
}

/** What is answered to bytes that are no request. */
export function answerUnreadable({ status }: HttpError, serverName: string): HttpResponse {
  return emptyResponse(status, serverName);
}

function emptyResponse(
  status: HttpResponse["status"],
  serverName: string,
  headers: HttpResponse["headers"] = [],
): HttpResponse {
  return { status, headers: [["SERVER", serverName], ...headers], body: new Uint8Array(0) };
}

function xmlResponse(status: 200 | typeof SOAP_FAULT_STATUS, serverName: string, body: Uint8Array): HttpResponse {
  const headers = [
    ["Content-Type", SOAP_CONTENT_TYPE],
    ["EXT", ""],
    ["SERVER", serverName],
  ] as const;
  return { status, headers, body };
}

/**
 * The Host header is the address that the request came in by. HTTP/1.0 has none, and no browser speaks it; the port
 * may be missing, which some clients forget: it is an IP literal all the same.
 */
function namesUs({ headers, minorVersion }: HttpRequest, local: Endpoint): boolean {
  const host = headers.get("host");
  if (host === undefined) return minorVersion === 0;
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?$/.exec(host);
  const address = parseAddress(match?.[1] ?? match?.[2] ?? "");
  const port = match?.[3];
  return address.ok && address.value === local.address && (port === undefined || Number(port) === local.port);
}

function clientVersion({ headers }: HttpRequest, { highest }: Answering): IgdVersion {
  return versionFor(headers.get("user-agent") ?? null, highest);
}

function describe(
  resource: Exclude<Resource, { readonly kind: "control" }>,
  request: HttpRequest,
  answering: Answering,
): HttpResponse | null {
  const document = answering.site.describe(resource, clientVersion(request, answering));
  return document === null ? null : xmlResponse(200, answering.serverName, document);
}

async function control(
  service: Extract<Resource, { readonly kind: "control" }>["service"],
  request: HttpRequest,
  requester: string,
  answering: Answering,
): Promise<HttpResponse> {
  const { gateway, serverName } = answering;
  const fault = (error: UpnpErrorName): HttpResponse =>
    xmlResponse(SOAP_FAULT_STATUS, serverName, encodeSoapFault(error));
  const soap = decodeSoapRequest(request.headers.get("soapaction") ?? null, request.body);
  if (!soap.ok) {
    const error = faultOf(soap.error);
    return error === null ? emptyResponse(400, serverName) : fault(error);
  }
  const igd = clientVersion(request, answering);
  const decoded = decodeAction(soap.value, igd);
  if (!decoded.ok) return fault(decoded.error.kind);
  const call = decoded.value;
  // Each service has its own URL: what one does not have, it does not do for another.
  if (call.service !== service) return fault("invalidAction");
  try {
    const done = await dispatch(call, { gateway, requester, igd });
    if (done.ok) {
      return xmlResponse(200, serverName, encodeSoapResponse(soap.value, done.value));
    }
    if (done.error.message !== null) answering.onRefused(done.error.message);
    return fault(done.error.error);
  } catch (error) {
    answering.onFailed(error);
    return fault("actionFailed");
  }
}

/** Null = it is no call of an action: HTTP's 400. */
function faultOf({ kind }: SoapError): UpnpErrorName | null {
  switch (kind) {
    case "mismatch":
      return "invalidAction";
    case "argument":
      return "invalidArgs";
    case "soap-action":
    case "envelope":
    case "too-long":
    case "encoding":
    case "character":
    case "dtd":
    case "reference":
    case "depth":
    case "truncated":
    case "malformed":
      return null;
    default:
      return kind satisfies never;
  }
}
