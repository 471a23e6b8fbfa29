import type { IgdVersion } from "../../wire/igd/services.ts";
import { UPNP_CODE } from "../../wire/igd/upnp-error.ts";
import { type IgdFault, isMissingAction, mappingFailure } from "./igd-faults.ts";
import type { Grant, MappingWish, RouterFailure } from "./model.ts";

/** One request for a mapping. */
export interface AddAttempt {
  readonly action: "AddPortMapping" | "AddAnyPortMapping";
  readonly externalPort: number;
  /** 0 = for good, to a service of version 1; the longest there is to one of version 2. */
  readonly leaseSec: number;
}

export type AddStep =
  | { readonly kind: "ask"; readonly attempt: AddAttempt }
  | { readonly kind: "fail"; readonly failure: RouterFailure };

export interface AddPlanOptions {
  readonly wish: MappingWish;
  /** What is to be renewed; null = a new mapping. */
  readonly held: Grant | null;
  /** Of the service that is asked. */
  readonly version: IgdVersion;
  /** This router has said before that it knows no leases. */
  readonly permanentOnly: boolean;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** WANIPConnection:2 §2.3.11: the longest lease, a week; a device takes 0 as this. */
export const LONGEST_LEASE_SEC = 604_800;
const MAX_LEASE_SEC = 0xffff_ffff;
/** Where nothing well known is, and below the ports of outgoing connections of most systems. */
const RANDOM_PORTS = { first: 40_000, count: 10_000 } as const;
/** Besides the internal port. Each is a request of up to some seconds. */
const RANDOM_TRIES = 4;

/**
 * What to ask a router next for one mapping: routers answer the same request in many ways, and the codes mean more than
 * the standard says. Begin with `first`, then tell each fault.
 */
export class AddPlan {
  readonly #options: AddPlanOptions;
  #attempt: AddAttempt;
  /** asked: of the lease nothing is known. doubted: it may be what the router did not like. refused: it was. */
  #lease: "asked" | "doubted" | "refused";
  #triedWithoutLease: boolean;
  #triedAny = false;
  #triedSame = false;
  #randomTries = 0;

  constructor(options: AddPlanOptions) {
    const { wish, held, version, permanentOnly } = options;
    this.#options = options;
    this.#lease = permanentOnly ? "refused" : "asked";
    this.#triedWithoutLease = permanentOnly;
    const externalPort = held?.externalPort ?? (wish.externalPort === 0 ? wish.internalPort : wish.externalPort);
    const anyPort = version === 2 && wish.externalPort === 0 && held === null;
    this.#triedAny = anyPort;
    const leaseSec = permanentOnly ? 0 : leaseFor(wish, version);
    this.#attempt = { action: anyPort ? "AddAnyPortMapping" : "AddPortMapping", externalPort, leaseSec };
  }

  get first(): AddAttempt {
    return this.#attempt;
  }

  /** The attempt before was done: whether it shows that the router knows no leases. */
  get showsPermanentOnly(): boolean {
    return this.#lease !== "asked" && this.#attempt.leaseSec === 0;
  }

  onFault(fault: IgdFault): AddStep {
    const { action, externalPort, leaseSec } = this.#attempt;
    if (refusesLease(fault) && leaseSec !== 0 && !this.#triedWithoutLease) {
      this.#triedWithoutLease = true;
      this.#lease = fault.code === UPNP_CODE.onlyPermanentLeasesSupported ? "refused" : "doubted";
      return this.#ask({ ...this.#attempt, leaseSec: 0 });
    }
    if (action === "AddAnyPortMapping" && isMissingAction(fault)) return this.#askPlainly();
    // Without a lease it was no better: the lease was not what it did not like.
    if (this.#lease === "doubted") this.#restoreLease();
    if (fault.code === UPNP_CODE.samePortValuesRequired && this.#free && !this.#triedSame) {
      this.#triedSame = true;
      const { internalPort } = this.#options.wish;
      if (externalPort !== internalPort)
        return this.#ask({ ...this.#attempt, action: "AddPortMapping", externalPort: internalPort });
    }
    if (isTaken(fault) && this.#free) {
      const next = this.#elsewhere();
      if (next !== null) return this.#ask(next);
    }
    const { protocol } = this.#options.wish;
    return { kind: "fail", failure: mappingFailure(fault, { protocol, externalPort }) };
  }

  /** Another port will do. One that is held is renewed, or lost: who visits knows its number. */
  get #free(): boolean {
    return !this.#options.wish.exact && this.#options.held === null;
  }

  #ask(attempt: AddAttempt): AddStep {
    this.#attempt = attempt;
    return { kind: "ask", attempt };
  }

  /** There are routers of version 2 that have no AddAnyPortMapping. */
  #askPlainly(): AddStep {
    const { wish } = this.#options;
    const wanted = wish.externalPort === 0;
    if (wanted) return this.#ask({ ...this.#attempt, action: "AddPortMapping" });
    const failure = mappingFailure({ code: UPNP_CODE.conflictInMappingEntry, description: "" }, wish);
    return { kind: "fail", failure };
  }

  #restoreLease(): void {
    this.#lease = "asked";
    const { wish, version } = this.#options;
    this.#attempt = { ...this.#attempt, leaseSec: leaseFor(wish, version) };
  }

  #elsewhere(): AddAttempt | null {
    const { version, wish, random } = this.#options;
    if (version === 2 && !this.#triedAny) {
      this.#triedAny = true;
      return { ...this.#attempt, action: "AddAnyPortMapping" };
    }
    // A port that the caller named is the caller's to change.
    if (wish.externalPort !== 0 || this.#randomTries === RANDOM_TRIES) return null;
    this.#randomTries++;
    const externalPort = RANDOM_PORTS.first + Math.floor(random() * RANDOM_PORTS.count);
    return { ...this.#attempt, action: "AddPortMapping", externalPort };
  }
}

function leaseFor({ lifetimeSec }: MappingWish, version: IgdVersion): number {
  if (lifetimeSec === null) return version === 2 ? LONGEST_LEASE_SEC : 0;
  const longest = version === 2 ? LONGEST_LEASE_SEC : MAX_LEASE_SEC;
  return Math.max(1, Math.min(Math.floor(lifetimeSec), longest));
}

/** 725 says it; others call the arguments invalid, and some just fail. */
function refusesLease({ code }: IgdFault): boolean {
  switch (code) {
    case UPNP_CODE.onlyPermanentLeasesSupported:
    case UPNP_CODE.invalidArgs:
    case UPNP_CODE.argumentValueInvalid:
    case UPNP_CODE.argumentValueOutOfRange:
    case UPNP_CODE.actionFailed:
      return true;
    default:
      return false;
  }
}

/** Many routers just fail when the port is another's. */
function isTaken({ code }: IgdFault): boolean {
  return (
    code === UPNP_CODE.conflictInMappingEntry ||
    code === UPNP_CODE.conflictWithOtherMechanisms ||
    code === UPNP_CODE.actionFailed
  );
}
