import type { ReasonName } from "../../wire/reason.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import type { Exit, Visit } from "../io/ends.ts";
import { refusedEnd, refusedFlow } from "../io/refused.ts";
import type { Session } from "./session.ts";

/** Where one visit goes in the tunnel. */
export interface Route {
  readonly session: Session;
  readonly request: OpenRequest;
  /** Called once when the visit's stream or flow is gone. */
  readonly onGone: (() => void) | null;
}

/** Leaves through a tunnel session, chosen for each visit: the device may have connected again, or be one of several. */
export function tunnelExit(route: (visit: Visit) => Route | ReasonName): Exit {
  return {
    connect(visit) {
      const chosen = route(visit);
      if (typeof chosen === "string") return refusedEnd(chosen);
      const stream = chosen.session.openStream(chosen.request, chosen.onGone);
      if (typeof stream !== "string") return stream;
      chosen.onGone?.();
      return refusedEnd(stream);
    },
    openFlow(visit) {
      const chosen = route(visit);
      if (typeof chosen === "string") return refusedFlow(chosen);
      const flow = chosen.session.openFlow(chosen.request, chosen.onGone);
      if (typeof flow !== "string") return flow;
      chosen.onGone?.();
      return refusedFlow(flow);
    },
  };
}
