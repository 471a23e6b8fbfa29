/**
 * A program that writes to the store at argv[2] until it is killed, in the way argv[3] says; each line on stdout is the
 * id of something that the store has acknowledged. `ready` comes when the store is open.
 */
import { writeSync } from "node:fs";
import { openStore } from "../../src/store/store.ts";

const STDOUT = 1;
const [path = "", mode = "until-killed", prefix = ""] = process.argv.slice(2);
const ROWS = 50;

/** Past the process's own buffers before the next write begins, so that a kill cannot take the line back. */
const tell = (line: string) => void writeSync(STDOUT, `${line}\n`);

const store = await openStore(path);
tell("ready");
for (let row = 0; mode === "until-killed" || row < ROWS; row += 1) {
  const made = await store.joinCodes.create({ deviceName: `${prefix}${process.pid}-${row}` }, Date.now());
  if (!made.ok) throw new Error(made.error.message);
  tell(made.value.id);
}
await store.close();
