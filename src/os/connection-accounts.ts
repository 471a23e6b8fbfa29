import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "./errors.ts";

const ROOT = "/proc/sys/net";
/**
 * What the kernel tells of each connection beside its addresses: its bytes, and when it began. Off unless somebody asks
 * (nf_conntrack-sysctl); on, it holds for connections that begin from then on. 32 bytes and 16 for each of them.
 */
const SETTINGS = ["netfilter/nf_conntrack_acct", "netfilter/nf_conntrack_timestamp"] as const;

export interface ConnectionAccounts {
  /** What was off before, by path in /proc/sys/net: 0, to be put back. */
  readonly changed: Readonly<Record<string, number>>;
  /** One sentence, when the system does not allow it: nothing fails, and lists have connections without bytes or ages. */
  readonly problem: string | null;
}

/** Lets the kernel keep them. Settings that it does not have (yet) are passed over. */
export function keepConnectionAccounts(root = ROOT): ConnectionAccounts {
  const changed: Record<string, number> = {};
  for (const setting of SETTINGS) {
    const path = join(root, setting);
    try {
      if (!existsSync(path) || Number(readFileSync(path, "utf8")) !== 0) continue;
      writeFileSync(path, "1\n");
    } catch (error) {
      const name = `net.${setting.replace("/", ".")}`;
      const problem = `Bytes and ages of connections may be missing: set ${name} to 1 with sysctl (${messageOf(error)}).`;
      return { changed, problem };
    }
    changed[setting] = 0;
  }
  return { changed, problem: null };
}
