import type { PortMapping } from "../../wire/port-set.ts";
import { ok, type Result } from "../../wire/result.ts";
import type { EntryError } from "./entry-error.ts";
import type { EntryPort, Listeners } from "./tcp-entry.ts";
import { type FlowHost, openUdpEntry, type UdpEntry } from "./udp-entry.ts";

/** Ports that were opened together. */
interface Block {
  readonly entry: UdpEntry;
  readonly numbers: readonly number[];
}

/** The UDP ports of one forward, which may change while flows are open. */
export class UdpPorts implements Listeners {
  #blocks: Block[] = [];

  constructor(
    readonly bind: string,
    readonly host: FlowHost,
  ) {}

  get ports(): readonly EntryPort[] {
    return this.#blocks.flatMap(({ entry }) => entry.ports);
  }

  open(numbers: ReadonlySet<number>): Result<null, EntryError> {
    const present = new Set(this.ports.map(({ externalPort }) => externalPort));
    const added = [...numbers].filter((number) => !present.has(number));
    return added.length === 0 ? ok(null) : this.#openBlock(added);
  }

  #openBlock(numbers: readonly number[]): Result<null, EntryError> {
    const entry = openUdpEntry(this.bind, mappingsOf(numbers), this.host);
    if (!entry.ok) return entry;
    this.#blocks.push({ entry: entry.value, numbers });
    return ok(null);
  }

  /** A block that loses some of its ports is opened again without them: the flows of its other ports begin anew. */
  keep(numbers: ReadonlySet<number>): Result<null, EntryError> {
    for (const block of [...this.#blocks]) {
      const kept = block.numbers.filter((number) => numbers.has(number));
      if (kept.length === block.numbers.length) continue;
      this.#blocks.splice(this.#blocks.indexOf(block), 1);
      block.entry.close();
      if (kept.length === 0) continue;
      const opened = this.#openBlock(kept);
      if (!opened.ok) return opened;
    }
    return ok(null);
  }

  drain(): void {
    for (const { entry } of this.#blocks) entry.drain();
  }

  close(): void {
    for (const { entry } of this.#blocks) entry.close();
    this.#blocks = [];
  }
}

function mappingsOf(numbers: readonly number[]): PortMapping[] {
  return numbers.map((number) => ({ protocol: "udp", first: number, last: number, internalFirst: number }));
}
