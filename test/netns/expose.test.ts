import { expect, setDefaultTimeout, test } from "bun:test";
import type { Child } from "./child.ts";
import {
  command,
  type EndpointInfo,
  forwards,
  type Home,
  joinCode,
  newHome,
  startAgent,
  startRelay,
} from "./hatchway.ts";
import { HOME, type HomeLab } from "./home-lab.ts";
import { homeWithGateway, homeWithMiniupnpd } from "./home-routers.ts";
import { startService } from "./kit.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(90_000);

/** `hatchway expose --via auto` from a home, with a relay outside. */
interface Exposing {
  readonly child: Child;
  readonly endpoints: readonly EndpointInfo[];
  /** `left router`, `taken relay`, and why. */
  readonly ways: readonly { readonly via: string; readonly state: string; readonly message: string }[];
}

/** `isRunning`: an agent runs beside the command. */
async function joinRelay(lab: HomeLab, isRunning: boolean): Promise<Home> {
  const relay = newHome(lab, lab.relay);
  await startRelay(lab, relay);
  const home = newHome(lab, lab.agent);
  const agent = await startAgent(lab, home, await joinCode(lab, relay, "attic"));
  if (isRunning) return home;
  agent.signal("SIGINT");
  await agent.exited;
  return home;
}

async function exposeAuto(lab: HomeLab, home: Home, ...args: readonly string[]): Promise<Exposing> {
  const child = lab.spawn(lab.agent, command(home, "expose", ...args, "--via", "auto", "--json"));
  const { endpoints } = await child.event<{ endpoints: EndpointInfo[] }>("exposed", { deadlineMs: 40_000 });
  const ways = child.stdout.flatMap((line) => {
    const event = JSON.parse(line) as { event: string } & Exposing["ways"][number];
    return event.event === "way" && event.state !== "trying" ? [event] : [];
  });
  return { child, endpoints, ways };
}

async function portAt(lab: HomeLab, address: string, port: number): Promise<string> {
  const script = `exec 3<>/dev/tcp/${address}/${port}; head -n 1 <&3`;
  return (await lab.exec(lab.visitor, ["timeout", "3", "bash", "-c", script])).stdout.trim();
}

/** What the router itself leads to a machine inside. */
async function redirects(lab: HomeLab): Promise<string[]> {
  const { stdout } = await lab.exec(lab.router, ["nft", "list", "ruleset"]);
  return [...stdout.matchAll(/dport (\d+).*dnat ip to/g)].map(([, port = ""]) => port);
}

async function end({ child }: Exposing): Promise<void> {
  child.signal("SIGINT");
  expect(await child.exited).toBe(0);
}

test.each([true, false])(
  "open internet: the router, as the relay sees that it works (an agent runs: %p)",
  async (isRunning) => {
    await using lab = await homeWithMiniupnpd("none");
    const home = await joinRelay(lab, isRunning);
    await startService(lab, lab.agent, "port:tcp:8080");
    const exposing = await exposeAuto(lab, home, "8080");
    expect(exposing.ways).toMatchObject([
      {
        via: "router",
        state: "taken",
        message: `${HOME.line}:8080/tcp is open: the service takes connections from outside.`,
      },
    ]);
    expect(exposing.endpoints).toMatchObject([
      { host: HOME.line, port: 8080 },
      { host: HOME.agent6, port: 8080 },
    ]);
    expect(await portAt(lab, HOME.line, 8080)).toBe("8080");
    await end(exposing);
    // An agent that goes on gives it back by itself.
    await eventually("the end of the mapping", async () => ((await redirects(lab)).length === 0 ? true : undefined));
  },
);

test.each([
  ["CGNAT, as a gateway of ours tells", () => homeWithGateway("cgnat"), /^CGNAT: /],
  ["a second router, as a gateway of ours tells", () => homeWithGateway("secondRouter"), /^Double NAT: /],
  ["CGNAT above miniupnpd, which opens nothing then", () => homeWithMiniupnpd("cgnat"), /./],
] as const)("%s: the relay", async (_name, make, why) => {
  await using lab = await make();
  const home = await joinRelay(lab, true);
  await startService(lab, lab.agent, "port:tcp:8080");
  const exposing = await exposeAuto(lab, home, "8080");
  expect(exposing.ways).toMatchObject([
    { via: "router", state: "left", message: expect.stringMatching(why) },
    { via: "relay", state: "taken" },
  ]);
  expect(exposing.endpoints).toMatchObject([{ host: HOME.relay, port: 8080 }]);
  expect(await portAt(lab, HOME.relay, 8080)).toBe("8080");
  expect(await redirects(lab)).toEqual([]);
  await end(exposing);
  expect(await forwards(lab, home)).toEqual([]);
});

test("a provider that lets nothing in: the router opens the port, the check sees that it is of no use, the relay it is", async () => {
  await using lab = await homeWithMiniupnpd("none");
  lab.nft(
    lab.router,
    "table ip provider { chain in { type filter hook prerouting priority -300; iifname wan tcp dport 8080 drop; }; }",
  );
  const home = await joinRelay(lab, false);
  await startService(lab, lab.agent, "port:tcp:8080");
  const exposing = await exposeAuto(lab, home, "8080");
  expect(exposing.ways).toMatchObject([
    { via: "router", state: "left", message: expect.stringContaining("no packet came to this machine") },
    { via: "relay", state: "taken" },
  ]);
  expect(await portAt(lab, HOME.relay, 8080)).toBe("8080");
  expect(await redirects(lab)).toEqual([]);
  await end(exposing);
});
