import { PROTOCOL_NAMES } from "../../core/router/ladder.ts";
import type { Grant, Mapper, MappingWish, RouterFailure } from "../../core/router/model.ts";
import { isSameAddress } from "../../core/router/natpmp-client.ts";
import {
  isNonce,
  noThirdParty,
  onlyPort,
  pcpAnnounceRequest,
  pcpGrant,
  pcpMapRequest,
  pcpUnmapped,
  pcpUnmapRequest,
  refusesOption,
  whyNotPcp,
} from "../../core/router/pcp-client.ts";
import { notSpoken, otherPort } from "../../core/router/portmap-faults.ts";
import { isIpv6 } from "../../wire/address.ts";
import { toHex } from "../../wire/hex.ts";
import { NONCE_BYTES } from "../../wire/pcp/message.ts";
import type { PcpRequest } from "../../wire/pcp/request.ts";
import type { PcpResponse } from "../../wire/pcp/response.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { NO_IDENTITY } from "./identity.ts";
import { MAP_LIMIT_MS, type PortMapLink } from "./link.ts";

type Spoken = Exclude<PcpResponse, { readonly kind: "unsupported-version" }>;

/** One router by PCP (RFC 6887): ports of IPv4, and pinholes of IPv6 through a gateway of IPv6. */
export class PcpMapper implements Mapper {
  readonly protocol = "pcp";
  readonly identity = NO_IDENTITY;
  readonly #link: PortMapLink;
  readonly #randomBytes: (count: number) => Uint8Array;
  /** IPv4; of the last mapping. */
  #externalAddress: string | null = null;
  /** False once it refused PREFER_FAILURE and not the rest. */
  #knowsPreferFailure = true;
  #closed = false;

  /** Holds the link until it is closed. */
  constructor(link: PortMapLink, randomBytes: (count: number) => Uint8Array) {
    this.#link = link;
    this.#randomBytes = randomBytes;
    link.hold();
  }

  get gateway() {
    return this.#link.gateway;
  }

  async map(wish: MappingWish, held: Grant | null, signal: AbortSignal): Promise<Result<Grant, RouterFailure>> {
    const impossible = whyNotPcp(wish, this.gateway);
    if (impossible !== null) return err(impossible);
    const nonce = held !== null && isNonce(held.ticket) ? held.ticket : toHex(this.#randomBytes(NONCE_BYTES));
    const response = await this.#askForPort(wish, held, nonce, signal);
    if (!response.ok) return response;
    const grant = pcpGrant(response.value, this.gateway);
    if (!grant.ok) return err(this.#explain(wish, response.value, grant.error));
    const port = onlyPort(wish);
    if (port !== null && grant.value.externalPort !== port) {
      // miniupnpd 2.3.1 does so in spite of PREFER_FAILURE when a program of its own has the port. The caller has no
      // grant to delete, and calling off must not leave this one behind.
      await this.#ask(pcpUnmapRequest(wish, grant.value, this.gateway), null);
      return err(otherPort(this.gateway, port));
    }
    const { externalAddress } = grant.value;
    if (externalAddress !== null && !isIpv6(externalAddress)) this.#externalAddress = externalAddress;
    return grant;
  }

  async unmap(wish: MappingWish, held: Grant, signal: AbortSignal): Promise<Result<null, RouterFailure>> {
    const impossible = whyNotPcp(wish, this.gateway);
    if (impossible !== null) return err(impossible);
    const response = await this.#ask(pcpUnmapRequest(wish, held, this.gateway), signal);
    if (!response.ok) return response;
    const unmapped = pcpUnmapped(response.value, this.gateway);
    if (unmapped.ok) return unmapped;
    const failure = this.#explain(wish, response.value, unmapped.error);
    const isPinhole = isIpv6(wish.internalAddress) && failure.kind === "refused";
    return err(isPinhole ? await this.#endSoon(wish, held, failure) : failure);
  }

  /**
   * miniupnpd 2.3.1 forgets the nonce of a pinhole when that is renewed, and then refuses to delete it. It renews it all
   * the same: for a second is for as short as it gives.
   */
  async #endSoon(wish: MappingWish, held: Grant, failure: RouterFailure): Promise<RouterFailure> {
    const last = { ...wish, lifetimeSec: 1 };
    const options = { nonce: held.ticket, preferFailure: false };
    const response = await this.#ask(pcpMapRequest(last, held, this.gateway, options), null);
    const grant = response.ok ? pcpGrant(response.value, this.gateway) : response;
    if (!grant.ok || grant.value.lifetimeSec === null) return failure;
    const message = `The router at ${this.gateway.address} does not close port ${wish.internalPort} at once; it closes by itself within ${grant.value.lifetimeSec} s.`;
    return { ...failure, message };
  }

  /** There is no question for it that would not make it; the epoch tells when all are gone. */
  async holds(): Promise<Result<null, RouterFailure>> {
    return ok(null);
  }

  /** As the last mapping said it: there is no question for it. */
  async externalAddress(): Promise<Result<string | null, RouterFailure>> {
    return ok(this.#externalAddress);
  }

  list() {
    return null;
  }

  async uptimeSec(signal: AbortSignal): Promise<Result<number | null, RouterFailure>> {
    const response = await this.#ask(pcpAnnounceRequest(this.gateway), signal);
    // A server that does not know ANNOUNCE says its epoch all the same.
    return response.ok ? ok(response.value.epochSec) : response;
  }

  onForgot(forgot: () => void): () => void {
    return this.#link.onForgot(this.protocol, forgot);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#link.release();
  }

  /** Not every server knows PREFER_FAILURE, which it must say (§7.3): then the answer's port decides. */
  async #askForPort(
    wish: MappingWish,
    held: Grant | null,
    nonce: string,
    signal: AbortSignal,
  ): Promise<Result<Spoken, RouterFailure>> {
    const ask = (preferFailure: boolean) =>
      this.#ask(pcpMapRequest(wish, held, this.gateway, { nonce, preferFailure }), signal);
    const preferFailure = this.#knowsPreferFailure && onlyPort(wish) !== null;
    const first = await ask(preferFailure);
    if (!first.ok || !preferFailure || !refusesOption(first.value)) return first;
    const second = await ask(false);
    // Refused again, it was the other option: THIRD_PARTY.
    if (second.ok && !refusesOption(second.value)) this.#knowsPreferFailure = false;
    return second;
  }

  #explain(wish: MappingWish, response: Spoken, failure: RouterFailure): RouterFailure {
    const isOther = !isSameAddress(wish.internalAddress, this.gateway.ownAddress);
    return isOther && refusesOption(response) ? noThirdParty(wish, this.gateway, failure) : failure;
  }

  async #ask(request: PcpRequest, signal: AbortSignal | null): Promise<Result<Spoken, RouterFailure>> {
    const { protocol } = this;
    const answer = await this.#link.ask({ protocol, request }, MAP_LIMIT_MS, signal);
    if (!answer.ok) return answer;
    const { value } = answer;
    if (value.protocol === protocol && value.response.kind !== "unsupported-version") return ok(value.response);
    return err(notSpoken(this.gateway, PROTOCOL_NAMES[protocol], null));
  }
}
