import { createHash } from "node:crypto";
import type { DeviceUuids } from "../../wire/igd/description.ts";

/** Who the gateway is to control points, the same as long as the seed is. */
export interface Identity {
  readonly uuids: DeviceUuids;
  /** The first part of every URL's path: who has not read an announcement cannot guess where to send a request. */
  readonly urlToken: string;
}

const URL_TOKEN_CHARS = 24;

/** `seed`: a secret of this gateway's. */
export function identityOf(seed: string): Identity {
  return {
    uuids: { root: uuid(seed, "root"), wan: uuid(seed, "wan"), wanConnection: uuid(seed, "wan-connection") },
    urlToken: digest(seed, "url").toString("hex").slice(0, URL_TOKEN_CHARS),
  };
}

/** RFC 9562 §5.8: a UUID of the owner's own making is of version 8. */
function uuid(seed: string, name: string): string {
  const hex = digest(seed, name).toString("hex");
  const variant = "89ab".charAt(Number.parseInt(hex.charAt(16), 16) % 4);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

function digest(seed: string, name: string): Buffer {
  return createHash("sha256").update(`hatchway igd ${name}\0${seed}`).digest();
}
