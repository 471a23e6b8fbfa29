import { readFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";

const GIBIBYTE = 2 ** 30;

/** Processors, memory, kernel and distribution, in one line. */
export async function describeMachine(): Promise<string> {
  const processors = cpus();
  const model = processors[0]?.model.trim() ?? "unknown processor";
  const system =
    /^PRETTY_NAME="?([^"\n]+)/m.exec(await readFile("/etc/os-release", "utf8").catch(() => ""))?.[1] ?? "Linux";
  return `${processors.length} × ${model}, ${Math.round(totalmem() / GIBIBYTE)} GiB, Linux ${release()}, ${system}, Bun ${Bun.version}`;
}
