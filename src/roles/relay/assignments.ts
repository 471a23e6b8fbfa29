import type { HeldForward } from "../../core/held.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { assignedParts } from "../../wire/tunnel/assigned.ts";

interface Assigned {
  /** The host that the device dials. */
  to: string;
  /** Why the device does not run it; null = it did not say no. */
  declined: string | null;
}

/** The forwards that people at the relay assign to devices: where they lead, and what the devices make of them. */
export class Assignments {
  readonly #byDevice = new Map<string, Map<string, Assigned>>();
  /** Devices that asked for them, in their present session. */
  readonly #listening = new Map<string, { readonly session: Session; readonly managed: boolean }>();
  readonly #held: (device: string, id: string) => HeldForward | null;

  /** `held`: as the relay's table has it. */
  constructor(held: (device: string, id: string) => HeldForward | null) {
    this.#held = held;
  }

  /** Null = the forward is the device's own, or there is none. */
  get(device: string, id: string): Readonly<Assigned> | null {
    return this.#byDevice.get(device)?.get(id) ?? null;
  }

  /** Whether the device takes what is assigned to it; null = it is away, or never asked. */
  isManaged(device: string): boolean | null {
    return this.#listening.get(device)?.managed ?? null;
  }

  set(device: string, id: string, to: string): void {
    const forwards = this.#byDevice.get(device) ?? new Map<string, Assigned>();
    forwards.set(id, { to, declined: null });
    this.#byDevice.set(device, forwards);
  }

  delete(device: string, id: string): void {
    const forwards = this.#byDevice.get(device);
    if (forwards?.delete(id) === true && forwards.size === 0) this.#byDevice.delete(device);
  }

  forget(device: string): void {
    this.#byDevice.delete(device);
  }

  /** The device asked: it is told now, and by `tell` from now on. */
  listen(session: Session, managed: boolean): void {
    this.#listening.set(session.peer.deviceId, { session, managed });
    for (const assigned of this.#byDevice.get(session.peer.deviceId)?.values() ?? []) assigned.declined = null;
    this.tell(session.peer.deviceId);
  }

  ended(session: Session): void {
    const { deviceId } = session.peer;
    if (this.#listening.get(deviceId)?.session === session) this.#listening.delete(deviceId);
  }

  decline(device: string, id: string, message: string | null): void {
    const assigned = this.#byDevice.get(device)?.get(id);
    if (assigned !== undefined) assigned.declined = message;
  }

  /** Tells the device, if it listens, everything that is assigned to it. */
  tell(device: string): void {
    const session = this.#listening.get(device)?.session;
    if (session === undefined || session.isClosed) return;
    const forwards = [...(this.#byDevice.get(device) ?? [])].flatMap(([id, { to }]) => {
      const spec = this.#held(device, id)?.spec;
      return spec === undefined ? [] : [{ spec, to }];
    });
    for (const part of assignedParts(forwards)) session.send(part);
  }
}
