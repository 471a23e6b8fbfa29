interface Member {
  open: number;
  /** Turn of the last pick: among equally loaded members the one that waited longest is next. */
  turn: number;
  usable: boolean;
}

/**
 * Which of several devices serves the next visit of a shared forward: the usable one with the fewest open visits,
 * in turn among equals. Nothing is sticky. Who is connected, healthy and how many visits are open comes by events.
 */
export class Balancer {
  readonly #members = new Map<string, Member>();
  #turn = 0;

  get size(): number {
    return this.#members.size;
  }

  /** Adds a device, or does nothing when it is there. */
  add(device: string): void {
    if (!this.#members.has(device)) this.#members.set(device, { open: 0, turn: 0, usable: true });
  }

  remove(device: string): void {
    this.#members.delete(device);
  }

  /** A device that is away or unhealthy is not picked; its open visits still count. */
  setUsable(device: string, usable: boolean): void {
    const member = this.#members.get(device);
    if (member !== undefined) member.usable = usable;
  }

  opened(device: string): void {
    const member = this.#members.get(device);
    if (member !== undefined) member.open++;
  }

  closed(device: string): void {
    const member = this.#members.get(device);
    if (member !== undefined && member.open > 0) member.open--;
  }

  /** The device for the next visit; null when none is usable. `skip`: devices that already refused this visit. O(devices). */
  pick(skip?: ReadonlySet<string>): string | null {
    let best: Member | null = null;
    let device: string | null = null;
    for (const [name, member] of this.#members) {
      if (!member.usable || skip?.has(name) === true) continue;
      if (best === null || member.open < best.open || (member.open === best.open && member.turn < best.turn)) {
        best = member;
        device = name;
      }
    }
    if (best !== null) best.turn = ++this.#turn;
    return device;
  }
}
