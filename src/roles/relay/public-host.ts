import { ownAddresses } from "../../os/interfaces.ts";
import type { RelaySettings } from "../control.ts";

/** What visitors and agents type: what the config says, or else this machine's first address that others can reach. */
export function publicHostOf(settings: Pick<RelaySettings, "publicHost">): string {
  if (settings.publicHost !== null) return settings.publicHost;
  const addresses = ownAddresses().filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  return (addresses.find(({ family }) => family === 4) ?? addresses[0])?.address ?? "127.0.0.1";
}
