import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import { joinFlows } from "../../dataplanes/io/join-flows.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { Visits } from "../../dataplanes/io/visits.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";

/** What other devices of the account reach through this agent, as far as its own exit policy lets them. */
export class DialledVisits {
  readonly visits = new Visits(DEFAULT_OPTIONS);
  #draining = false;

  constructor(
    readonly exit: Exit,
    sweeper: Sweeper,
  ) {
    sweeper.add(this.visits);
  }

  /** Opens nothing new; what is open goes on. */
  drain(): void {
    this.#draining = true;
  }

  onStream(request: OpenRequest & { kind: "dial" }, stream: ByteEnd): void {
    if (this.#draining) {
      stream.reset("shutdown");
      return;
    }
    const visit = visitOf(request);
    join(stream, this.exit.connect(visit), visit, this.visits);
  }

  onFlow(request: OpenRequest & { kind: "dial" }, flow: FlowEnd): void {
    if (this.#draining) {
      flow.close("shutdown");
      return;
    }
    const visit = visitOf(request);
    joinFlows(flow, this.exit.openFlow(visit), visit, this.visits);
  }
}

function visitOf({ visitor, entry, host, port }: OpenRequest & { kind: "dial" }): Visit {
  return { visitor, entry, externalPort: entry.port, destination: { host, port } };
}
