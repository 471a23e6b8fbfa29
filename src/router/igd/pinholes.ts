import { FIREWALL_OFF, type IgdFault, PINHOLES_NOT_ALLOWED, pinholeFailure } from "../../core/router/igd-faults.ts";
import type { Grant, MappingWish, RouterFailure } from "../../core/router/model.ts";
import { UPNP_CODE } from "../../wire/igd/upnp-error.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type CallOptions, failureOf, type IgdControl } from "./control.ts";

const SERVICE = "WANIPv6FirewallControl";
/** WANIPv6FirewallControl:1 §2.3.6: a pinhole lasts a day at most, and never for good. */
const LONGEST_LEASE_SEC = 86_400;
/** IANA's numbers. */
const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17 };

/**
 * Pinholes of IPv6. Asked from the address that they are for, when this machine has it: routers permit a pinhole to
 * nobody else (miniupnpd answers 606 to who asks over IPv4).
 */
export class Pinholes {
  readonly #control: IgdControl;

  constructor(control: IgdControl) {
    this.#control = control;
  }

  async map(wish: MappingWish, held: Grant | null, caller: CallOptions): Promise<Result<Grant, RouterFailure>> {
    const options = from(wish, caller);
    const { externalPort, internalPort } = wish;
    if (wish.exact && externalPort !== 0 && externalPort !== internalPort) {
      const message = `IPv6 ports are not translated: ask for port ${internalPort} outside, not ${externalPort}.`;
      return err({ kind: "refused", code: null, message });
    }
    const leaseSec = Math.max(1, Math.min(Math.floor(wish.lifetimeSec ?? LONGEST_LEASE_SEC), LONGEST_LEASE_SEC));
    const grant = { externalAddress: wish.internalAddress, externalPort: internalPort, lifetimeSec: leaseSec };
    const id = held === null ? null : pinholeId(held);
    if (id !== null) {
      const renewed = await this.#update(id, leaseSec, options);
      if (renewed.ok) {
        if (renewed.value) return ok({ ...grant, ticket: String(id) });
      } else return renewed;
    }
    const allowed = await this.#allowed(options);
    if (allowed !== null) return err(allowed);
    const args = {
      RemoteHost: null,
      RemotePort: 0,
      InternalClient: wish.internalAddress,
      InternalPort: internalPort,
      Protocol: PROTOCOL_NUMBERS[wish.protocol],
      LeaseTime: leaseSec,
    };
    const added = await this.#control.call({ service: SERVICE, action: "AddPinhole", version: 1, args }, options);
    if (!added.ok) return err(failureOf(added.error, pinholeFailure));
    return ok({ ...grant, ticket: String(added.value.UniqueID) });
  }

  /** False = the router has no such pinhole any more. */
  async #update(id: number, leaseSec: number, options: CallOptions): Promise<Result<boolean, RouterFailure>> {
    const args = { UniqueID: id, NewLeaseTime: leaseSec };
    const updated = await this.#control.call({ service: SERVICE, action: "UpdatePinhole", version: 1, args }, options);
    if (updated.ok) return ok(true);
    if (updated.error.kind === "fault" && isGone(updated.error.fault)) return ok(false);
    return err(failureOf(updated.error, pinholeFailure));
  }

  /** Why the router makes no pinholes; null = it may. */
  async #allowed(options: CallOptions): Promise<RouterFailure | null> {
    const call = { service: SERVICE, action: "GetFirewallStatus", version: 1, args: {} } as const;
    const status = await this.#control.call(call, options);
    if (!status.ok) {
      // A router that does not tell is asked for the pinhole itself.
      return status.error.kind === "failed" && status.error.failure.kind !== "garbled" ? status.error.failure : null;
    }
    const { FirewallEnabled, InboundPinholeAllowed } = status.value;
    if (!FirewallEnabled) return { kind: "unsupported", code: null, message: FIREWALL_OFF };
    return InboundPinholeAllowed ? null : { kind: "refused", code: null, message: PINHOLES_NOT_ALLOWED };
  }

  /** Null = the router cannot tell. */
  async holds(wish: MappingWish, held: Grant, caller: CallOptions): Promise<Result<boolean | null, RouterFailure>> {
    const options = from(wish, caller);
    const id = pinholeId(held);
    if (id === null) return ok(null);
    const args = { UniqueID: id };
    for (const action of ["CheckPinholeWorking", "GetPinholePackets"] as const) {
      const checked = await this.#control.callForTexts({ service: SERVICE, action, version: 1, args }, options);
      // Whether packets pass is another matter: what is not there is said so.
      if (checked.ok) return ok(true);
      if (checked.error.kind === "failed") return err(checked.error.failure);
      const { fault } = checked.error;
      if (fault.code === UPNP_CODE.noPacketSent) return ok(true);
      if (isGone(fault)) return ok(false);
    }
    return ok(null);
  }

  async unmap(wish: MappingWish, held: Grant, caller: CallOptions): Promise<Result<null, RouterFailure>> {
    const id = pinholeId(held);
    if (id === null) return ok(null);
    const call = { service: SERVICE, action: "DeletePinhole", version: 1, args: { UniqueID: id } } as const;
    const deleted = await this.#control.call(call, from(wish, caller));
    if (deleted.ok || (deleted.error.kind === "fault" && isGone(deleted.error.fault))) return ok(null);
    return err(failureOf(deleted.error, pinholeFailure));
  }
}

function from({ internalAddress }: MappingWish, { signal }: CallOptions): CallOptions {
  return { signal, localAddress: internalAddress };
}

function pinholeId({ ticket }: Grant): number | null {
  return /^[0-9]{1,5}$/.test(ticket) ? Number(ticket) : null;
}

/** Of a request that has a pinhole's number and little else: miniupnpd 2.3.1 calls a number that it does not have invalid. */
function isGone({ code }: IgdFault): boolean {
  return code === UPNP_CODE.noSuchEntry || code === UPNP_CODE.invalidArgs;
}
