import type { Forward } from "../../servers/api/schema.ts";

type Origin = Forward["origin"];

/** How a program asks a gateway for a port, as people call it. */
export const APP_PROTOCOLS = { natpmp: "NAT-PMP", pcp: "PCP", igd: "UPnP" } as const satisfies Partial<
  Record<Origin, string>
>;
export type AppOrigin = keyof typeof APP_PROTOCOLS;
export type AppForward = Forward & { readonly origin: AppOrigin };

/** No person made it: a program on a client asked the gateway for it. */
export function isByApp(forward: Forward): forward is AppForward {
  return forward.origin in APP_PROTOCOLS;
}
