import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { parseJson } from "./child.ts";
import { AGENT_PORT, command, newHome, startRelay } from "./hatchway.ts";
import { type Above, createHomeLab, HOME, type HomeLab, masquerade } from "./home-lab.ts";
import { homeWithGateway, homeWithMiniupnpd } from "./home-routers.ts";
import type { ExecResult } from "./lab.ts";

setDefaultTimeout(60_000);

/** `hatchway router` in a home, against Debian's miniupnpd and what may stand above it. */
const STUN = `${HOME.relay}:${AGENT_PORT}`;

interface Report {
  readonly externalAddress: string | null;
  readonly seen: { readonly v4: string | null };
  readonly nat: { readonly mapping: string; readonly filtering: string } | null;
  readonly identity: { readonly model: string | null } | null;
  readonly protocols: readonly {
    readonly protocol: string;
    readonly router: string;
    readonly failure: { readonly kind: string } | null;
  }[];
  readonly mappings: readonly { readonly externalPort: number; readonly ours: boolean }[] | null;
  readonly verdict: { readonly kind: string; readonly sure: boolean; readonly advice: readonly string[] };
}

async function routerOf(lab: HomeLab, ...args: readonly string[]): Promise<{ report: Report; ended: ExecResult }> {
  const home = newHome(lab, lab.agent);
  const ended = await lab.exec(lab.agent, command(home, "router", ...args, "--json"));
  const report = parseJson(ended.stdout) as Report | null;
  if (report === null) throw new Error(`no report: ${ended.stdout}\n${ended.stderr}`);
  return { report, ended };
}

/** By IPv4. */
const speaks = ({ protocols }: Report): string[] =>
  protocols.flatMap(({ protocol, router, failure }) => (router === HOME.router && failure === null ? [protocol] : []));

async function homeWith(router: "miniupnpd" | "hatchway", above: Above): Promise<HomeLab> {
  const lab = router === "miniupnpd" ? await homeWithMiniupnpd(above) : await homeWithGateway(above);
  await startRelay(lab, newHome(lab, lab.relay));
  return lab;
}

describe("what stands above the router", () => {
  test.each([
    ["miniupnpd", "none", "open-internet", true, HOME.line],
    // It keeps a private address of its own to itself, and opens nothing.
    ["miniupnpd", "cgnat", "cgnat", false, null],
    ["miniupnpd", "secondRouter", "cgnat", false, null],
    ["hatchway", "none", "open-internet", true, HOME.line],
    ["hatchway", "cgnat", "cgnat", true, "100.64.0.2"],
    ["hatchway", "secondRouter", "double-nat", true, "192.168.0.2"],
  ] as const)("%s, %s above: %s, certain: %p", async (router, above, kind, sure, external) => {
    await using lab = await homeWith(router, above);
    const { report, ended } = await routerOf(lab, "--stun", STUN);
    expect(report.verdict).toMatchObject({ kind, sure });
    expect(report.externalAddress).toBe(external);
    expect(report.seen.v4).toBe(HOME.line);
    // As netfilter does it by itself.
    expect(report.nat).toEqual({ mapping: "endpoint-independent", filtering: "address-and-port-dependent" });
    expect(report.identity?.model).not.toBeNull();
    expect(report.mappings).toEqual([]);
    expect(ended.exitCode).toBe(kind === "open-internet" ? 0 : 1);
    expect(report.verdict.advice.join(" ").includes("--via relay")).toBe(kind !== "open-internet");
  });

  test("all that miniupnpd speaks is found", async () => {
    await using lab = await homeWith("miniupnpd", "none");
    const { report } = await routerOf(lab, "--no-stun");
    expect(speaks(report)).toEqual(["pcp", "nat-pmp", "igd2"]);
  });

  test("without STUN the same router is open, and not for certain; another one's ports are listed", async () => {
    await using lab = await homeWith("miniupnpd", "none");
    await lab.exec(lab.other, ["upnpc", "-a", HOME.other, "8080", "8080", "tcp", "600"]);
    const { report } = await routerOf(lab, "--no-stun");
    expect(report.verdict).toMatchObject({ kind: "open-internet", sure: false });
    expect(report.mappings).toMatchObject([{ externalPort: 8080, ours: false }]);
  });
});

test("a router that speaks nothing: blocked, and what to do", async () => {
  await using lab = createHomeLab();
  lab.nft(lab.router, masquerade("wan", "lan"));
  await startRelay(lab, newHome(lab, lab.relay));
  const { report, ended } = await routerOf(lab, "--stun", STUN);
  expect(report.verdict.kind).toBe("blocked");
  expect(report.verdict.advice.join(" ")).toContain("--via relay");
  expect([speaks(report), report.mappings, ended.exitCode]).toEqual([[], null, 1]);
});

test("a machine with a public address, and one without any network", async () => {
  await using lab = createHomeLab();
  await startRelay(lab, newHome(lab, lab.relay));
  const home = newHome(lab, lab.visitor);
  const open = await lab.exec(lab.visitor, command(home, "router", "--stun", STUN, "--json"));
  expect(parseJson(open.stdout)).toMatchObject({ verdict: { kind: "public-here" }, routers: [] });
  expect(open.exitCode).toBe(0);
  const alone = await lab.exec(lab.visitor, command(home, "router", "--no-stun"));
  expect(alone.stdout).toContain("No network");
  expect(alone.exitCode).toBe(1);
});
