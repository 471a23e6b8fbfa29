import { PROTOCOL_NAMES } from "../../core/router/ladder.ts";
import type { Grant, Mapper, MappingWish, RouterFailure } from "../../core/router/model.ts";
import {
  isExact,
  natPmpAddress,
  natPmpGrant,
  natPmpMapRequest,
  natPmpUnmapped,
  natPmpUnmapRequest,
  whyNotNatPmp,
} from "../../core/router/natpmp-client.ts";
import { notSpoken, otherPort } from "../../core/router/portmap-faults.ts";
import type { NatPmpRequest, NatPmpResponse } from "../../wire/natpmp.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { NO_IDENTITY } from "./identity.ts";
import { MAP_LIMIT_MS, type PortMapLink } from "./link.ts";

/** One router by NAT-PMP (RFC 6886): IPv4, for this machine alone. */
export class NatPmpMapper implements Mapper {
  readonly protocol = "nat-pmp";
  readonly identity = NO_IDENTITY;
  readonly #link: PortMapLink;
  #closed = false;

  /** Holds the link until it is closed. */
  constructor(link: PortMapLink) {
    this.#link = link;
    link.hold();
  }

  get gateway() {
    return this.#link.gateway;
  }

  async map(wish: MappingWish, held: Grant | null, signal: AbortSignal): Promise<Result<Grant, RouterFailure>> {
    const impossible = whyNotNatPmp(wish, this.gateway);
    if (impossible !== null) return err(impossible);
    const response = await this.#ask(natPmpMapRequest(wish, held), signal);
    if (!response.ok) return response;
    const grant = natPmpGrant(response.value, this.gateway);
    if (!grant.ok || !isExact(wish) || grant.value.externalPort === wish.externalPort) return grant;
    // Whatever became of that: the port is not the right one. It is not the caller's to call off.
    await this.#ask(natPmpUnmapRequest(wish), null);
    return err(otherPort(this.gateway, wish.externalPort));
  }

  async unmap(wish: MappingWish, _held: Grant, signal: AbortSignal): Promise<Result<null, RouterFailure>> {
    const impossible = whyNotNatPmp(wish, this.gateway);
    if (impossible !== null) return err(impossible);
    const response = await this.#ask(natPmpUnmapRequest(wish), signal);
    return response.ok ? natPmpUnmapped(response.value, this.gateway) : response;
  }

  /** There is no question for it; the epoch tells when all are gone. */
  async holds(): Promise<Result<null, RouterFailure>> {
    return ok(null);
  }

  async externalAddress(signal: AbortSignal): Promise<Result<string | null, RouterFailure>> {
    const response = await this.#ask({ kind: "external-address" }, signal);
    return response.ok ? natPmpAddress(response.value, this.gateway) : response;
  }

  list() {
    return null;
  }

  async uptimeSec(signal: AbortSignal): Promise<Result<number | null, RouterFailure>> {
    const response = await this.#ask({ kind: "external-address" }, signal);
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

  async #ask(request: NatPmpRequest, signal: AbortSignal | null): Promise<Result<NatPmpResponse, RouterFailure>> {
    const { protocol } = this;
    const answer = await this.#link.ask({ protocol, request }, MAP_LIMIT_MS, signal);
    if (!answer.ok) return answer;
    const { value } = answer;
    return value.protocol === protocol
      ? ok(value.response)
      : err(notSpoken(this.gateway, PROTOCOL_NAMES[protocol], null));
  }
}
