import type { GatewayControl } from "../roles/control.ts";

/** What commands ask of a gateway, wherever that is. */
export type AskedGateway = Pick<
  GatewayControl,
  | "vpnInit"
  | "vpnList"
  | "vpnAdd"
  | "vpnChange"
  | "vpnRotate"
  | "vpnRemove"
  | "listTriggers"
  | "addTrigger"
  | "removeTrigger"
>;
