import { type AddAttempt, AddPlan, LONGEST_LEASE_SEC } from "../../core/router/igd-add-plan.ts";
import { type IgdFault, isMissingAction, otherFailure } from "../../core/router/igd-faults.ts";
import type { Grant, MappingWish, RouterFailure } from "../../core/router/model.ts";
import { printable } from "../../wire/igd/printable.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import { UPNP_CODE } from "../../wire/igd/upnp-error.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type CallOptions, failureOf, type IgdControl } from "./control.ts";
import { garbled } from "./failures.ts";
import type { CallError } from "./transport.ts";

const SERVICE = "WANIPConnection";

/** What the router says that a port leads to. */
interface Entry {
  readonly client: string | null;
  readonly internalPort: number;
  readonly enabled: boolean;
  /** 0 = for good, or it does not say. */
  readonly leaseSec: number;
}

/** none: it says that there is no such mapping. unknown: it does not tell. */
type Looked = { readonly kind: "entry"; readonly entry: Entry } | { readonly kind: "none" | "unknown" };

/** Port mappings of IPv4, by WANIPConnection and WANPPPConnection. */
export class PortMappings {
  readonly #control: IgdControl;
  readonly #random: () => number;
  /** What this router has shown of itself. */
  #permanentOnly = false;
  #tellsEntries = true;

  constructor(control: IgdControl, random: () => number) {
    this.#control = control;
    this.#random = random;
  }

  async map(wish: MappingWish, held: Grant | null, options: CallOptions): Promise<Result<Grant, RouterFailure>> {
    const version = this.#version;
    const plan = new AddPlan({ wish, held, version, permanentOnly: this.#permanentOnly, random: this.#random });
    let attempt = plan.first;
    let reclaimed = false;
    for (;;) {
      const added = await this.#add(wish, attempt, options);
      if (added.ok) {
        if (plan.showsPermanentOnly) this.#permanentOnly = true;
        return this.#confirmed(wish, { ...attempt, externalPort: added.value }, options);
      }
      if (added.error.kind === "failed") return err(added.error.failure);
      const { fault } = added.error;
      // There are routers that take a mapping of the same host's for another's, and renew none.
      if (fault.code === UPNP_CODE.conflictInMappingEntry && !reclaimed) {
        reclaimed = true;
        if (await this.#removeOwn(wish, attempt.externalPort, options)) continue;
      }
      const step = plan.onFault(fault);
      if (step.kind === "fail") return err(await this.#explained(fault, step.failure, options));
      attempt = step.attempt;
    }
  }

  get #version(): IgdVersion {
    return this.#control.site.connection?.version ?? 1;
  }

  /** The external port that it is. */
  async #add(wish: MappingWish, attempt: AddAttempt, options: CallOptions): Promise<Result<number, CallError>> {
    const args = {
      // A remote host is not asked for: many routers refuse any (726).
      NewRemoteHost: null,
      NewExternalPort: attempt.externalPort,
      NewProtocol: wish.protocol,
      NewInternalPort: wish.internalPort,
      NewInternalClient: wish.internalAddress,
      NewEnabled: true,
      // Some routers refuse a mapping without a name.
      NewPortMappingDescription: printable(wish.description) || "Hatchway",
      NewLeaseDuration: attempt.leaseSec,
    };
    if (attempt.action === "AddPortMapping") {
      const call = { service: SERVICE, action: "AddPortMapping", version: this.#version, args } as const;
      const added = await this.#control.callForTexts(call, options);
      return added.ok ? ok(attempt.externalPort) : added;
    }
    const call = { service: SERVICE, action: "AddAnyPortMapping", version: 2, args } as const;
    const added = await this.#control.call(call, options);
    if (!added.ok) return added;
    const { NewReservedPort: port } = added.value;
    if (port !== 0) return ok(port);
    const failure = garbled(`The router at ${this.#control.router} says that it mapped a port, and not which.`);
    return err({ kind: "failed", failure });
  }

  /**
   * Some routers say yes and map nothing, or leave the port to its holder: one question more tells. It tells how long the
   * mapping lasts, too: miniupnpd 2.3.1 makes a week of a lease of 0, for version 1 as well.
   */
  async #confirmed(
    wish: MappingWish,
    { externalPort, leaseSec }: AddAttempt,
    options: CallOptions,
  ): Promise<Result<Grant, RouterFailure>> {
    const port = `${externalPort}/${wish.protocol}`;
    const looked = await this.#look(wish, externalPort, options);
    // That it says nothing is no reason to do without the mapping that it said it made.
    const found: Looked = looked.ok ? looked.value : { kind: "unknown" };
    switch (found.kind) {
      case "unknown":
        return ok(grantOf(leaseSec, externalPort, this.#version));
      case "none": {
        const message = `The router said that it mapped port ${port}, and has no such mapping; forward the port on its page.`;
        return err({ kind: "refused", code: null, message });
      }
      case "entry": {
        const { entry } = found;
        if (entry.client !== null && entry.client !== wish.internalAddress) {
          const message = `The router said that it mapped port ${port}, and gives it to ${entry.client}; ask for another port.`;
          return err({ kind: "conflict", code: null, message });
        }
        if (entry.internalPort !== wish.internalPort || !entry.enabled) {
          const what = entry.enabled ? `leads it to port ${entry.internalPort}` : "keeps it switched off";
          const message = `The router said that it mapped port ${port}, and ${what}; forward the port on its page.`;
          return err({ kind: "refused", code: null, message });
        }
        return ok(grantOf(entry.leaseSec === 0 ? leaseSec : entry.leaseSec, externalPort, this.#version));
      }
      default:
        return found satisfies never;
    }
  }

  /** What failed without a reason may have failed because there is no line. */
  async #explained(fault: IgdFault, failure: RouterFailure, options: CallOptions): Promise<RouterFailure> {
    if (fault.code !== UPNP_CODE.actionFailed) return failure;
    const call = { service: SERVICE, action: "GetStatusInfo", version: this.#version, args: {} } as const;
    const status = await this.#control.callForTexts(call, options);
    const word = status.ok ? (status.value.get("NewConnectionStatus")?.trim() ?? "") : "";
    if (word === "" || word.toLowerCase() === "connected") return failure;
    return {
      kind: "no-uplink",
      code: fault.code,
      message: "The router maps no ports while it has no connection to the internet; look at its line.",
    };
  }

  /** Whether there was a mapping of this very host and port, and it is gone. */
  async #removeOwn(wish: MappingWish, externalPort: number, options: CallOptions): Promise<boolean> {
    const looked = await this.#look(wish, externalPort, options);
    if (!looked.ok || looked.value.kind !== "entry") return false;
    const { client, internalPort } = looked.value.entry;
    if (client !== wish.internalAddress || internalPort !== wish.internalPort) return false;
    return (await this.#delete(wish, externalPort, options)).ok;
  }

  async #look(wish: MappingWish, externalPort: number, options: CallOptions): Promise<Result<Looked, RouterFailure>> {
    if (!this.#tellsEntries) return ok({ kind: "unknown" });
    const args = keyOf(wish, externalPort);
    const call = {
      service: SERVICE,
      action: "GetSpecificPortMappingEntry",
      version: this.#version,
      args,
    } as const;
    const got = await this.#control.call(call, options);
    if (got.ok) {
      const { NewInternalClient: client, NewInternalPort: internalPort, NewEnabled: enabled } = got.value;
      return ok({ kind: "entry", entry: { client, internalPort, enabled, leaseSec: got.value.NewLeaseDuration } });
    }
    if (got.error.kind === "failed") {
      // It answered, and not in a way that tells: with a host's name in place of its address, say.
      return got.error.failure.kind === "garbled" ? ok({ kind: "unknown" }) : err(got.error.failure);
    }
    const { fault } = got.error;
    if (isMissingAction(fault)) this.#tellsEntries = false;
    const none = fault.code === UPNP_CODE.noSuchEntryInArray || fault.code === UPNP_CODE.specifiedArrayIndexInvalid;
    return ok({ kind: none ? "none" : "unknown" });
  }

  /** Null = the router cannot tell. */
  async holds(wish: MappingWish, held: Grant, options: CallOptions): Promise<Result<boolean | null, RouterFailure>> {
    const looked = await this.#look(wish, held.externalPort, options);
    if (!looked.ok) return looked;
    switch (looked.value.kind) {
      case "unknown":
        return ok(null);
      case "none":
        return ok(false);
      case "entry": {
        const { client, internalPort, enabled } = looked.value.entry;
        const ours = client === null || client === wish.internalAddress;
        return ok(ours && internalPort === wish.internalPort && enabled);
      }
      default:
        return looked.value satisfies never;
    }
  }

  async unmap(wish: MappingWish, held: Grant, options: CallOptions): Promise<Result<null, RouterFailure>> {
    const deleted = await this.#delete(wish, held.externalPort, options);
    if (deleted.ok) return ok(null);
    if (deleted.error.kind === "failed") return err(deleted.error.failure);
    // Some routers have other words for a mapping that is not there, 402 and 501 among them.
    const looked = await this.#look(wish, held.externalPort, options);
    if (looked.ok && looked.value.kind === "none") return ok(null);
    return err(otherFailure(deleted.error.fault));
  }

  async #delete(wish: MappingWish, externalPort: number, options: CallOptions): Promise<Result<null, CallError>> {
    const args = keyOf(wish, externalPort);
    const call = { service: SERVICE, action: "DeletePortMapping", version: this.#version, args } as const;
    const deleted = await this.#control.callForTexts(call, options);
    if (deleted.ok) return ok(null);
    const { error } = deleted;
    const gone =
      error.kind === "fault" &&
      (error.fault.code === UPNP_CODE.noSuchEntryInArray || error.fault.code === UPNP_CODE.specifiedArrayIndexInvalid);
    return gone ? ok(null) : err(error);
  }

  /** Seconds; null = the router does not say. */
  async uptimeSec(options: CallOptions): Promise<Result<number | null, RouterFailure>> {
    const call = { service: SERVICE, action: "GetStatusInfo", version: this.#version, args: {} } as const;
    const status = await this.#control.callForTexts(call, options);
    if (!status.ok) return status.error.kind === "fault" ? ok(null) : err(failureOf(status.error, otherFailure));
    const uptime = status.value.get("NewUptime")?.trim() ?? "";
    return ok(/^[0-9]{1,10}$/.test(uptime) ? Number(uptime) : null);
  }
}

function keyOf({ protocol }: MappingWish, externalPort: number) {
  return { NewRemoteHost: null, NewExternalPort: externalPort, NewProtocol: protocol };
}

/**
 * Version 2 takes 0 as a week: what it does not say, it means. A mapping that lasts and is renewed does no harm, one that
 * ends and is not renewed does.
 */
function grantOf(leaseSec: number, externalPort: number, version: IgdVersion): Grant {
  const lifetimeSec = leaseSec === 0 ? (version === 2 ? LONGEST_LEASE_SEC : null) : leaseSec;
  return { externalAddress: null, externalPort, lifetimeSec, ticket: "" };
}
