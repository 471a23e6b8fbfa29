import { classifyAddress, isIpv6 } from "../wire/address.ts";

const LOCALHOST = "localhost";
const LOOPBACK_V6 = "::1";

/** Of the bind addresses, those that no other machine reaches. */
export function isLoopback(bind: string): boolean {
  if (isIpv6(bind)) return bind === LOOPBACK_V6;
  return bind === LOCALHOST || classifyAddress(bind) === "loopback";
}
