import { ControlError } from "./control.ts";

/** Node and Bun check no certificate at all with this set; a tunnel must not start on such ground (oven-sh/bun#35240). */
export function refuseUnsafeEnvironment(environment: Record<string, string | undefined> = process.env): void {
  if (environment["NODE_TLS_REJECT_UNAUTHORIZED"] !== "0") return;
  throw new ControlError(
    "usage",
    "NODE_TLS_REJECT_UNAUTHORIZED=0 switches certificate checks off: unset it and start again.",
  );
}
