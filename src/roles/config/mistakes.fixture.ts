import { ControlError } from "../control.ts";
import { readConfig } from "./load.ts";

/** What a person is told of a config file with this text, which must be refused. */
export async function mistakes(text: string): Promise<string> {
  const read = await readConfig(text, "t.toml").then(
    () => new Error("the config was accepted"),
    (error: unknown) => error,
  );
  if (read instanceof ControlError && read.kind === "usage") return read.message;
  throw read;
}
