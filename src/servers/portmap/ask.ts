import type { MappingDesk } from "../../core/mapping/desk.ts";
import type { Question } from "./reply.ts";

/** Brings a question to the desk and returns the answer to send. `failed`: hears that the gateway itself could not. */
export async function askDesk(
  question: Question,
  desk: Pick<MappingDesk, "map" | "pin" | "unmapInternal">,
  failed: (error: unknown) => void,
): Promise<Uint8Array> {
  try {
    if (question.kind === "unmap") {
      const refusal = await desk.unmapInternal(question.request);
      return refusal === null ? question.done(null) : question.refused({ ...refusal, heldForSec: null });
    }
    const made = await (question.kind === "map" ? desk.map(question.ask) : desk.pin(question.ask));
    return made.ok ? question.done(made.value) : question.refused(made.error);
  } catch (error) {
    failed(error);
    return question.failed();
  }
}
