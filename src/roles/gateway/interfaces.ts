import { ControlError } from "../control.ts";
import type { GatewaySettings } from "./settings.ts";

type Sides = Pick<GatewaySettings, "wan" | "lan">;

/** Rejects settings that name too few interfaces, with ControlError `usage`. `vpn`: there is one, or is to be one. */
export function refuseIncomplete({ wan, lan }: Sides, vpn: boolean): void {
  const lacking = wan.length === 0 ? "wan" : lan.length === 0 && !vpn ? "lan" : null;
  if (lacking === null) return;
  const side = lacking === "wan" ? "visitors come from" : "the clients are";
  const or = lacking === "lan" ? " A VPN server alone is --vpn." : "";
  const message = `Name the interface where ${side}: --${lacking} IF, or ${lacking} = "IF" in [gateway].${or}`;
  throw new ControlError("usage", message);
}

/** The same for interfaces that are not there, and for one that would be on two sides. `vpn`: the VPN's own; null = none. */
export function refuseUnfit({ wan, lan }: Sides, known: readonly string[], vpn: string | null): void {
  const unknown = [...wan, ...lan].find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const all = new Intl.ListFormat("en").format(known);
    throw new ControlError("usage", `There is no interface "${unknown}"; this machine has ${all}.`);
  }
  const both = wan.find((name) => lan.includes(name));
  if (both !== undefined) {
    const message = `${both} is named for visitors and for clients: it can be one of the two.`;
    throw new ControlError("usage", message);
  }
  const own = [...wan, ...lan].find((name) => name === vpn);
  if (own === undefined) return;
  throw new ControlError("usage", `${own} is the VPN's own interface: name the others alone for wan and lan.`);
}
