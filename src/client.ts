import type * as declared from "./library/client.d.ts";
import * as client from "./servers/api/client.ts";

// Apps get the types from that file; these are the same for whoever imports the source.
export type * from "./library/client.d.ts";
export { ApiProblem } from "./servers/api/client.ts";

export const createClient: typeof declared.createClient = client.createClient;
export const everything: typeof declared.everything = client.everything;
export const isProblem: typeof declared.isProblem = client.isProblem;
export const PROBLEM_TYPES: typeof declared.PROBLEM_TYPES = client.PROBLEM_TYPES;
