import type { ReasonName } from "../../wire/reason.ts";
import type { AttachEvent, Counters, Endpoint, ForwardSpec } from "../control.ts";
import { V } from "../views.ts";
import type { Held } from "./forwards.ts";
import { endpointsOf, nameOf, typeOf, viaOf } from "./info.ts";

/** The event that tells what became of a forward; null while nothing is known. */
export function outcomeEvent(spec: ForwardSpec, held: Held): (AttachEvent & { event: "exposed" | "refused" }) | null {
  const base = { ...V, id: spec.kind === "remote" ? spec.remote.id : spec.local.id, name: nameOf(spec) };
  if (held.kind === "local") {
    if (held.error !== null) {
      const kind = held.error.kind === "inUse" ? "conflict" : "failed";
      return { event: "refused", ...base, kind, message: held.error.message };
    }
    return exposed(base, spec, endpointsOf(held));
  }
  const { answer } = held.forward;
  switch (answer.kind) {
    case "waiting":
      return null;
    case "open":
      return exposed(base, spec, endpointsOf(held));
    case "refused":
      return { event: "refused", ...base, kind: answer.why, message: answer.message };
    default:
      return answer satisfies never;
  }
}

function exposed(
  base: { readonly v: 1; readonly id: string; readonly name: string },
  spec: ForwardSpec,
  endpoints: readonly Endpoint[],
): AttachEvent & { event: "exposed" } {
  return { event: "exposed", ...base, type: typeOf(spec), via: viaOf(spec), endpoints };
}

/** This agent's counts, with the visitors that the relay itself turned away. */
export function mergeRefused(own: Counters, atRelay: Readonly<Record<string, number>>): Counters {
  const refused: Partial<Record<ReasonName, number>> = { ...own.refused };
  for (const [reason, count] of Object.entries(atRelay)) {
    const name = reason as ReasonName;
    refused[name] = Math.max(refused[name] ?? 0, count);
  }
  return { ...own, refused };
}
