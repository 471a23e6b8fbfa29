import { describe, expect, test } from "bun:test";
import type { Child } from "./child.ts";
import { command, type Home, newHome, open, query, run } from "./hatchway.ts";
import { createHomeLab, HOME, type HomeLab } from "./home-lab.ts";
import { startService, visit } from "./kit.ts";
import type { Host } from "./lab.ts";
import { type MiniupnpdPlace, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { eventually } from "./ready.ts";

/** `hatchway map` with Debian's miniupnpd as the router, and visitors outside. */
const place = (lab: HomeLab): MiniupnpdPlace => ({ host: lab.router, wan: "wan", lans: ["lan"], external: null });

async function homeBehindMiniupnpd(): Promise<{ lab: HomeLab; router: Child; home: Home }> {
  const lab = createHomeLab();
  prepareMiniupnpd(place(lab));
  const router = await startMiniupnpd(lab, place(lab), { enable_natpmp: "yes" });
  return { lab, router, home: newHome(lab, lab.agent) };
}

/** What the router's own rules lead to. */
async function redirects(lab: HomeLab): Promise<string[]> {
  const { stdout } = await lab.exec(lab.router, ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]);
  return [...stdout.matchAll(/dport (\d+).*dnat ip to ([\d.:]+)/g)].map(([, port, to]) => `${port} → ${to}`).sort();
}

async function portOf(lab: HomeLab, from: Host, address: string, port: number): Promise<string> {
  const reached = await lab.exec(from, ["timeout", "3", "bash", "-c", `exec 3<>/dev/tcp/${address}/${port}; head -n 1 <&3`]);
  return reached.stdout.trim();
}

describe.each(["pcp", "nat-pmp", "igd"])("by %s alone", (protocol) => {
  test("TCP, UDP, a list and a range are open to a visitor, and gone after Ctrl-C", async () => {
    const { lab, home } = await homeBehindMiniupnpd();
    await using _lab = lab;
    await startService(lab, lab.agent, "port:tcp:8080-8085", "echo:udp:9000");
    const opened = await open(lab, home, "map", "8080, 8082-8084, 9000/udp", "--protocol-only", protocol, "--family", "ipv4");
    expect(opened.endpoints).toMatchObject([
      { protocol: "tcp", host: HOME.line, port: 8080, lastPort: 8080, internalPort: 8080 },
      { protocol: "tcp", host: HOME.line, port: 8082, lastPort: 8084, internalPort: 8082 },
      { protocol: "udp", host: HOME.line, port: 9000, lastPort: 9000, internalPort: 9000 },
    ]);
    for (const port of [8080, 8082, 8083, 8084]) {
      expect(await portOf(lab, lab.visitor, HOME.line, port)).toBe(String(port));
    }
    expect(await portOf(lab, lab.visitor, HOME.line, 8081)).toBe("");
    expect((await redirects(lab)).length).toBe(5);
    opened.child.signal("SIGINT");
    expect(await opened.child.exited).toBe(0);
    expect(await redirects(lab)).toEqual([]);
  });
});
