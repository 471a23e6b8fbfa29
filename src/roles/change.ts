import { ApiFailure } from "../servers/api/backend.ts";
import type { Drafted } from "./console/drafts.ts";
import { ControlError, type ForwardPatch } from "./control.ts";

/** A forward with what a local command's patch names, by the API's rules. Throws ControlError `usage`, a line a problem. */
export async function changed(present: Drafted, patch: ForwardPatch): Promise<Drafted> {
  // For few commands, and with schemas that take a while to load.
  const { patched } = await import("./console/drafts.ts");
  const { loginsOf } = await import("./console/site-logins.ts");
  return await inWordsOfCommands(async () => {
    const logins =
      patch.logins === undefined ? undefined : await loginsOf(patch.logins, present.spec.site?.logins ?? []);
    return patched(present, patch, logins);
  });
}

/** What the API would answer as `invalid` is a wrong use of the command. */
export async function inWordsOfCommands<T>(act: () => Promise<T> | T): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.kind !== "invalid") throw error;
    const lines = error.errors.map(({ message }) => message);
    throw new ControlError("usage", lines.length > 0 ? lines.join("\n") : error.message, { cause: error });
  }
}
