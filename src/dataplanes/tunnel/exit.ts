import type { ReasonName } from "../../wire/reason.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "../io/ends.ts";
import { refusedEnd, refusedFlow } from "../io/refused.ts";

/** Opens streams and flows towards a device: a tunnel session, or whatever else it is connected by. */
export interface Opener {
  /** The reason when it cannot even be tried; `onGone` is not called then. */
  openStream(request: OpenRequest, onGone: (() => void) | null): ByteEnd | ReasonName;
  openFlow(request: OpenRequest, onGone: (() => void) | null): FlowEnd | ReasonName;
}

/** Where one visit goes. */
export interface Route {
  readonly link: Opener;
  readonly request: OpenRequest;
  /** Called once when the visit's stream or flow is gone. */
  readonly onGone: (() => void) | null;
}

/** Leaves through a device's link, chosen for each visit: the device may have connected again, or be one of several. */
export function tunnelExit(route: (visit: Visit) => Route | ReasonName): Exit {
  return {
    connect(visit) {
      const chosen = route(visit);
      if (typeof chosen === "string") return refusedEnd(chosen);
      const stream = chosen.link.openStream(chosen.request, chosen.onGone);
      if (typeof stream !== "string") return stream;
      chosen.onGone?.();
      return refusedEnd(stream);
    },
    openFlow(visit) {
      const chosen = route(visit);
      if (typeof chosen === "string") return refusedFlow(chosen);
      const flow = chosen.link.openFlow(chosen.request, chosen.onGone);
      if (typeof flow !== "string") return flow;
      chosen.onGone?.();
      return refusedFlow(flow);
    },
  };
}
