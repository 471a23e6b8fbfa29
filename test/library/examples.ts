import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The programs of docs/library.md, in their order. */
export function libraryExamples(): string[] {
  const text = readFileSync(join(import.meta.dir, "../../docs/library.md"), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}
