import type { IgdFault } from "../../core/router/igd-faults.ts";
import type { Gateway, RouterFailure } from "../../core/router/model.ts";
import type { After } from "../../os/timers.ts";
import { VERSION } from "../../os/version.ts";
import { classifyAddress, isIpv6 } from "../../wire/address.ts";
import { type ActionCall, decodeOutputs, encodeAction, type OutputsFor } from "../../wire/igd/actions.ts";
import { decodeDescription, MAX_DESCRIPTION_BYTES, type RouterDescription } from "../../wire/igd/description-reader.ts";
import type { HttpReply } from "../../wire/igd/http-reply.ts";
import type { HttpUrl } from "../../wire/igd/http-url.ts";
import { MAX_LISTING_BYTES } from "../../wire/igd/port-listing.ts";
import { decodeSoapReply, encodeSoapRequest, SOAP_CONTENT_TYPE } from "../../wire/igd/soap.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { exchange } from "./exchange.ts";
import { garbled } from "./failures.ts";

/** The router did not do it, and says why; or there is no answer that says anything. */
export type CallError =
  | { readonly kind: "fault"; readonly fault: IgdFault }
  | { readonly kind: "failed"; readonly failure: RouterFailure };

/** Where an action is asked for. `type`: of the service, as the router named it, whatever table its actions are read by. */
export interface Control {
  readonly url: HttpUrl;
  readonly type: string;
}

export interface TransportOptions {
  readonly gateway: Gateway;
  readonly after: After;
}

/** No Windows: routers hide version 2 from it. */
const USER_AGENT = `Hatchway/${VERSION} UPnP/1.1`;
const NO_BODY = new Uint8Array(0);
/** UPnP Device Architecture 1.1 §3.1: what is done, and what is not. */
const HTTP_STATUS = { ok: 200, unauthorized: 401, forbidden: 403, notFound: 404, gone: 410, fault: 500 } as const;

/** HTTP to one router, and to no other address. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  get router(): string {
    return this.#options.gateway.address;
  }

  describe(url: HttpUrl, signal: AbortSignal): Promise<Result<RouterDescription, RouterFailure>> {
    const { gateway, after } = this.#options;
    return exchange({
      call: { method: "GET", url, headers: [["User-Agent", USER_AGENT]], body: NO_BODY },
      host: zoned(gateway.address, gateway.interfaceName),
      localAddress: this.#from(gateway.ownAddress),
      maxBodyBytes: MAX_DESCRIPTION_BYTES,
      signal,
      after,
      read: (reply) => readDescription(reply, gateway.address),
    });
  }

  /** A connection has one family: over IPv4 nobody asks from an address of IPv6. */
  #from(wanted: string | undefined): string {
    const { address, ownAddress, interfaceName } = this.#options.gateway;
    const usable = wanted !== undefined && isIpv6(wanted) === isIpv6(address);
    return zoned(usable ? wanted : ownAddress, interfaceName);
  }

  /**
   * Calls an action. `localAddress`: of this machine, that the router shall see; absent = the one on the router's network.
   * What the router says of a value that makes no sense is a failure, and never a value.
   */
  async call<C extends ActionCall>(
    control: Control,
    call: C,
    signal: AbortSignal,
    localAddress?: string,
  ): Promise<Result<OutputsFor<C>, CallError>> {
    const texts = await this.callForTexts(control, call, signal, localAddress);
    if (!texts.ok) return texts;
    const outputs = decodeOutputs(call, texts.value);
    if (outputs.ok) return outputs;
    const message = `The router at ${this.router} answered ${call.action} without a usable ${outputs.error.about}.`;
    return err({ kind: "failed", failure: garbled(message) });
  }

  /** The outputs as written, for actions that routers answer freely. */
  async callForTexts(
    control: Control,
    call: ActionCall,
    signal: AbortSignal,
    localAddress?: string,
  ): Promise<Result<ReadonlyMap<string, string>, CallError>> {
    const { gateway, after } = this.#options;
    const { soapAction, body } = encodeSoapRequest({ ...encodeAction(call), serviceType: control.type });
    const maxBodyBytes = call.action === "GetListOfPortMappings" ? MAX_LISTING_BYTES : MAX_DESCRIPTION_BYTES;
    const answered = await exchange({
      call: {
        method: "POST",
        url: control.url,
        headers: [
          ["User-Agent", USER_AGENT],
          ["Content-Type", SOAP_CONTENT_TYPE],
          // With its quotes: there are routers that read on until the next one, be it in the body.
          ["SOAPAction", soapAction],
        ],
        body,
      },
      host: zoned(gateway.address, gateway.interfaceName),
      localAddress: this.#from(localAddress),
      maxBodyBytes,
      signal,
      after,
      read: (reply) => readAnswer(call.action, reply, maxBodyBytes, gateway.address),
    });
    if (!answered.ok) return err({ kind: "failed", failure: answered.error });
    const reply = answered.value;
    if (reply.kind === "response") return ok(reply.outputs);
    return err({ kind: "fault", fault: { code: reply.code, description: reply.description } });
  }
}

/** An address as sockets want it: a link-local one of IPv6 with the interface that it is on. */
export function zoned(address: string, interfaceName: string): string {
  const linkLocal = isIpv6(address) && classifyAddress(address) === "link-local";
  return linkLocal ? `${address}%${interfaceName}` : address;
}

function readDescription(reply: HttpReply, router: string): Result<RouterDescription, RouterFailure> {
  const description = decodeDescription(reply.body);
  if (description.ok && reply.status === HTTP_STATUS.ok) return description;
  if (reply.status !== HTTP_STATUS.ok) return err(unusualStatus(reply, router));
  const why = description.ok ? "" : ` (${description.error.kind})`;
  return err(garbled(`The router at ${router} describes itself in no way that can be read${why}; restart it.`));
}

function readAnswer(action: string, reply: HttpReply, maxBytes: number, router: string) {
  const answer = decodeSoapReply(action, reply.body, maxBytes);
  if (answer.ok) return answer;
  const usual = reply.status === HTTP_STATUS.ok || reply.status === HTTP_STATUS.fault;
  if (!usual) return err(unusualStatus(reply, router));
  const message = `The router at ${router} answered ${action} in no way that can be read (${answer.error.kind}); restart it.`;
  return err(garbled(message));
}

function unusualStatus({ status }: HttpReply, router: string): RouterFailure {
  switch (status) {
    case HTTP_STATUS.unauthorized:
    case HTTP_STATUS.forbidden:
      return {
        kind: "refused",
        code: status,
        message: `The router at ${router} does not let this machine use UPnP; allow it in the router's settings.`,
      };
    case HTTP_STATUS.notFound:
    case HTTP_STATUS.gone:
      return {
        kind: "garbled",
        code: status,
        message: `What the router at ${router} offered by UPnP is not there any more; try again.`,
      };
    default:
      return {
        kind: "garbled",
        code: status,
        message: `The router at ${router} answered UPnP with HTTP status ${status}; restart it if this goes on.`,
      };
  }
}

/** The router answers, and not there: it has started anew, on another port or with other paths. */
export function hasMoved({ kind, code }: RouterFailure): boolean {
  return kind === "closed" || code === HTTP_STATUS.notFound || code === HTTP_STATUS.gone;
}
