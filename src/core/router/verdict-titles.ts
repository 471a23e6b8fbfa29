import type { Verdict, VerdictKind } from "./verdict.ts";

const VERDICTS: Readonly<Record<VerdictKind, readonly [title: string, meaning: string]>> = {
  "open-internet": ["Open internet", "ports that this router opens can be reached."],
  "public-here": ["Public here", "this machine has a public address of its own; no router needs to be asked."],
  "double-nat": ["Double NAT", "another router stands above this one, so a port opened here alone is not reached."],
  cgnat: ["CGNAT", "the provider shares its addresses, so no port opened on this router is reached."],
  blocked: ["Blocked", "this router opens no ports by itself."],
  "ipv6-only": ["IPv6 only", "there is no IPv4 router, so visitors can come in by IPv6 alone."],
  "no-network": ["No network", "no router with a line to the internet was found."],
  vpn: ["VPN", "the default route is a tunnel, so visitors do not come in by a router of this place."],
};

/** A verdict in one sentence, for people. */
export function verdictSentence({ kind, sure }: Pick<Verdict, "kind" | "sure">): string {
  const [title, meaning] = VERDICTS[kind];
  return `${title}${sure ? "" : " (not certain)"}: ${meaning}`;
}
