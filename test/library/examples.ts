import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The TypeScript programs of a page of docs, in their order. */
export function examplesOf(page: string): string[] {
  const text = readFileSync(join(import.meta.dir, "../../docs", page), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}

/** The programs of docs/library.md, in their order. */
export function libraryExamples(): string[] {
  return examplesOf("library.md");
}
