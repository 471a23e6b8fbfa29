import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CHROMIUM } from "../fixtures/chromium.ts";
import type { Host, Machines } from "./lab.ts";
import { eventually } from "./ready.ts";

/**
 * Chromium as a program on that machine: what the path of its executable is to be. It drops what it loads when an address
 * comes (ERR_NETWORK_CHANGED), and the link's own is tentative for a second or two (RFC 4862 section 5.4): it comes first.
 */
export async function browserAt(lab: Machines, host: Host): Promise<string> {
  await eventually(`the addresses of ${host.namespace} are its own`, async () => {
    const { stdout } = await lab.exec(host, ["ip", "-6", "address", "show", "tentative"]);
    return stdout === "" ? true : undefined;
  });
  const path = join(lab.directory, "chromium");
  writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${host.namespace} ${CHROMIUM} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
