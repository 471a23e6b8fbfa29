import type { Allows } from "../../dataplanes/direct/exit.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import { AssignedList } from "../../wire/tunnel/assigned.ts";
import type { AssignedForward, ControlOf } from "../../wire/tunnel/control.ts";
import type { AgentForwards } from "./forwards.ts";

export interface AssignedForwardsOptions {
  readonly forwards: Pick<AgentForwards, "get" | "list" | "put" | "remove">;
  readonly resolver: Resolver;
  /** The owner lets people at the relay choose forwards at all. */
  isManaged(): boolean;
  /** What these may lead to. */
  readonly allows: Allows;
  /** To the relay; nothing while it is away. */
  decline(id: string, message: string): void;
}

const UNMANAGED =
  "it takes no forwards from its relay; start it with --managed, or set managed = true in its hatchway.toml.";

/** The forwards that people at the relay choose for this agent: taken up as far as its owner allows. */
export class AssignedForwards {
  readonly #options: AssignedForwardsOptions;
  #list = new AssignedList();
  /** As the relay told it last. */
  #assigned: readonly AssignedForward[] = [];

  constructor(options: AssignedForwardsOptions) {
    this.#options = options;
  }

  /** A new session begins with a new list. */
  began(): void {
    this.#list = new AssignedList();
  }

  /** False when the relay broke the protocol. Resolves when everything is taken up, or was answered otherwise. */
  async onMessage(message: ControlOf<"assigned">): Promise<boolean> {
    const list = this.#list.add(message);
    if (list === "wrong") return false;
    if (list !== null) {
      this.#assigned = list;
      await this.take();
    }
    return true;
  }

  /** Brings the forwards in line with what is assigned, and with what the owner allows now. */
  async take(): Promise<void> {
    const { forwards, decline } = this.#options;
    const list = this.#assigned;
    const objections = await Promise.all(list.map((one) => this.#objection(one)));
    // Another list came meanwhile: that one is taken up.
    if (list !== this.#assigned) return;
    const allowed = list.filter((_one, at) => objections[at] === null);
    for (const [at, { spec }] of list.entries()) {
      const why = objections[at];
      if (why != null) decline(spec.id, why);
    }
    const wanted = new Set(allowed.map(({ spec }) => spec.id));
    for (const [id, { origin }] of [...forwards.list()]) if (origin === "api" && !wanted.has(id)) forwards.remove(id);
    await Promise.all(allowed.map(({ spec, to }) => forwards.put({ kind: "remote", remote: spec, to }, "api", false)));
  }

  /** Null = nothing speaks against it. Each visit is judged anew: what a name resolves to may change. */
  async #objection({ spec, to }: AssignedForward): Promise<string | null> {
    if (!this.#options.isManaged()) return UNMANAGED;
    const held = this.#options.forwards.get(spec.id);
    if (held !== undefined && held.origin !== "api") return "it has a forward of its own by that id.";
    const { allows, resolver } = this.#options;
    const addresses = await resolver.resolve(to);
    for (const { protocol, first, last, internalFirst } of spec.ports) {
      for (const port of [internalFirst, internalFirst + last - first]) {
        const isAllowed =
          allows.name(to, port, protocol) &&
          // One that does not resolve now may do so later.
          (addresses.length === 0 || addresses.some((address) => allows.address(to, address, port, protocol)));
        if (!isAllowed) return `"allow" in its hatchway.toml does not have ${to}, port ${port}.`;
      }
    }
    return null;
  }
}
