import { compileCidrs } from "../wire/address.ts";
import type { SourceRules } from "./forward.ts";

/** Whether a forward's lists let an address in, as Admission decides it: deny wins, an empty allow list allows all. */
export function allowsSource({ allow, deny }: SourceRules, address: string): boolean {
  if (compileCidrs(deny).contains(address)) return false;
  return allow.length === 0 || compileCidrs(allow).contains(address);
}
