import type { VpnMode } from "../../core/vpn/peers.ts";
import { formatPortSet, parsePortSet } from "../../wire/port-set.ts";
import { ControlError } from "../control.ts";

/** As `hatchway vpn ls` and `vpn set` say it: `block-all`, `open-all`, `only 8840, 8810-8815/udp`. */
export function formatMode(mode: VpnMode): string {
  switch (mode.kind) {
    case "blockAll":
      return "block-all";
    case "openAll":
      return "open-all";
    case "only":
      return `only ${formatPortSet(mode.ports)}`;
    default:
      return mode satisfies never;
  }
}

const ONLY = "only ";

/** The mode that such a text says, or ControlError `usage`. */
export function parseMode(text: string): VpnMode {
  if (text === "block-all") return { kind: "blockAll" };
  if (text === "open-all") return { kind: "openAll" };
  if (!text.startsWith(ONLY)) {
    throw new ControlError("usage", `A peer's mode is block-all, open-all or only PORTSET, not "${text}".`);
  }
  const ports = parsePortSet(text.slice(ONLY.length));
  if (!ports.ok) throw new ControlError("usage", ports.error.message);
  return { kind: "only", ports: ports.value };
}
