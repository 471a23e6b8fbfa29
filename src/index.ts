import type * as declared from "./library/hatchway.d.ts";
import { openPortBy } from "./library/open-port.ts";

export { OpenPortError } from "./library/error.ts";
// Apps get the types from that file; these are the same for whoever imports the source.
export type * from "./library/hatchway.d.ts";

export const openPort: typeof declared.openPort = openPortBy({});
