import * as device from "./library/device.ts";
import type * as declared from "./library/hatchway.d.ts";
import { openPortBy } from "./library/open-port.ts";

export { HatchwayError, OpenPortError } from "./library/error.ts";
// Apps get the types from that file; these are the same for whoever imports the source.
export type * from "./library/hatchway.d.ts";

export const openPort: typeof declared.openPort = openPortBy({});
export const enrol: typeof declared.enrol = device.enrol;
export const deviceOf: typeof declared.deviceOf = device.deviceOf;
export const openRelay: typeof declared.openRelay = device.openRelay;
export const expose: typeof declared.expose = device.expose;
export const connect: typeof declared.connect = device.connect;
export const listen: typeof declared.listen = device.listen;
export const socks: typeof declared.socks = device.socks;
