import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The TypeScript programs of a page of docs, in their order. */
export function examplesOf(page: string): string[] {
  return programsIn(readFileSync(join(import.meta.dir, "../../docs", page), "utf8"));
}

function programsIn(text: string): string[] {
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}

/** The programs of docs/library.md, in their order: those for a router, and those for a relay. */
export function libraryExamples(): { readonly router: readonly string[]; readonly relay: readonly string[] } {
  const text = readFileSync(join(import.meta.dir, "../../docs/library.md"), "utf8");
  const [router = "", relay = ""] = text.split("## Through a relay");
  return { router: programsIn(router), relay: programsIn(relay) };
}
