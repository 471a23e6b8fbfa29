import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import { joinFlows } from "../../dataplanes/io/join-flows.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { Visits } from "../../dataplanes/io/visits.ts";
import { tunnelExit } from "../../dataplanes/tunnel/exit.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import type { DeviceLink } from "./device-link.ts";

export interface RelayDialsOptions {
  /** How the relay itself dials: a direct exit under the relay's own exit policy. */
  readonly exit: Exit;
  readonly sweeper: Sweeper;
  /** The link of a device of that account that dials for others, by the device's name; undefined while it is away. */
  linkByName(account: string, name: string): DeviceLink | undefined;
}

/** Who asks. */
export type Asker = Pick<DeviceLink, "peer">;

/** What devices ask the relay to open for them: a destination it reaches itself, or one that another device reaches. */
export class RelayDials {
  readonly visits = new Visits(DEFAULT_OPTIONS);
  readonly #options: RelayDialsOptions;
  #draining = false;

  constructor(options: RelayDialsOptions) {
    this.#options = options;
    options.sweeper.add(this.visits);
  }

  /** Opens nothing new; what is open goes on. */
  drain(): void {
    this.#draining = true;
  }

  onStream(asker: Asker, request: OpenRequest, stream: ByteEnd): void {
    const chosen = this.#choose(asker, request);
    if (typeof chosen === "string") {
      this.visits.counters.countRefused(chosen);
      stream.reset(chosen);
      return;
    }
    join(stream, chosen.exit.connect(chosen.visit), chosen.visit, this.visits);
  }

  onFlow(asker: Asker, request: OpenRequest, flow: FlowEnd): void {
    const chosen = this.#choose(asker, request);
    if (typeof chosen === "string") {
      this.visits.counters.countRefused(chosen);
      flow.close(chosen);
      return;
    }
    joinFlows(flow, chosen.exit.openFlow(chosen.visit), chosen.visit, this.visits);
  }

  #choose({ peer }: Asker, request: OpenRequest): { exit: Exit; visit: Visit } | ReasonName {
    // Forwards are opened by the relay towards agents, never the other way.
    if (request.kind !== "dial") return "noForward";
    if (this.#draining) return "shutdown";
    const { device, host, port, visitor, entry } = request;
    const visit: Visit = { visitor, entry, externalPort: entry.port, destination: { host, port } };
    if (device === "") return { exit: this.#options.exit, visit };
    // Only devices of the same account reach each other; of others a device does not even learn whether they exist.
    const target = this.#options.linkByName(peer.account, device);
    if (target === undefined) return "deviceAway";
    if (target.peer.deviceId === peer.deviceId) return "policy";
    const onward: OpenRequest = { ...request, device: peer.name };
    return { exit: tunnelExit(() => ({ link: target, request: onward, onGone: null })), visit };
  }
}
