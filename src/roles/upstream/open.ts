import type { OpenUpstream } from "./forward.ts";
export function upstreamOpener(): OpenUpstream {
  throw new Error("not yet");
}
