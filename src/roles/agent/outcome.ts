import { partOf } from "../../core/forward.ts";
import type { AttachEvent, Endpoint, ForwardSpec } from "../control.ts";
import { noteText, type UpstreamState } from "../upstream/forward.ts";
import { V } from "../views.ts";
import type { Held } from "./held.ts";
import { endpointsOf, nameOf, typeOf, viaOf } from "./info.ts";

type OutcomeEvent = AttachEvent & { event: "exposed" | "lost" | "refused" };

/** The event that tells what became of a forward; null while nothing is known. */
export function outcomeEvent(spec: ForwardSpec, held: Held): OutcomeEvent | null {
  const base = { ...V, id: partOf(spec).id, name: nameOf(spec) };
  if (held.kind === "local") {
    if (held.error !== null) {
      const kind = held.error.kind === "inUse" ? "conflict" : "failed";
      return { event: "refused", ...base, kind, message: held.error.message };
    }
    return exposed(base, spec, endpointsOf(held));
  }
  if (held.kind === "upstream") return upstreamEvent(base, held.forward?.state ?? null);
  const { answer, trouble } = held.forward;
  switch (answer.kind) {
    case "waiting":
      return null;
    case "open":
      return { ...exposed(base, spec, endpointsOf(held)), ...(trouble === null ? {} : { note: trouble.message }) };
    case "refused":
      return { event: "refused", ...base, kind: answer.why, message: answer.message };
    default:
      return answer satisfies never;
  }
}

function upstreamEvent(base: Base, state: UpstreamState | null): OutcomeEvent | null {
  switch (state?.kind) {
    case undefined:
    case "asking":
      return null;
    case "open": {
      const { endpoints, router, leaseEndsMs } = state;
      const note = state.note === null ? null : noteText(state.note);
      return { event: "exposed", ...base, type: "upstream", via: "router", endpoints, router, leaseEndsMs, note };
    }
    case "lost":
      return { event: "lost", ...base, message: state.message };
    case "refused":
      return { event: "refused", ...base, kind: state.why, message: state.message };
    default:
      return state satisfies undefined;
  }
}

interface Base {
  readonly v: 1;
  readonly id: string;
  readonly name: string;
}

function exposed(base: Base, spec: ForwardSpec, endpoints: readonly Endpoint[]): AttachEvent & { event: "exposed" } {
  return { event: "exposed", ...base, type: typeOf(spec), via: viaOf(spec), endpoints };
}
