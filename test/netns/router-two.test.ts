import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Home, newHome, type Opened, open, run } from "./hatchway.ts";
import { createHomeLab, HOME, type HomeLab } from "./home-lab.ts";
import type { Host } from "./lab.ts";
import { type MiniupnpdPlace, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { ipBatch } from "./namespaces.ts";

setDefaultTimeout(60_000);

/** Two routers of one network, both miniupnpd, and both answer every search: the default route leads to the first. */
const SECOND_LINE = "9.9.9.40";

let lab: HomeLab;
let home: Home;

beforeAll(async () => {
  lab = createHomeLab();
  home = newHome(lab, lab.agent);
  ipBatch(lab.other.namespace, [
    "link add wan type veth peer name line",
    "link set line up",
    "link set wan up",
    `address add ${SECOND_LINE}/32 dev wan`,
  ]);
  const places: readonly MiniupnpdPlace[] = [
    { host: lab.router, wan: "wan", lans: ["lan"], external: null },
    { host: lab.other, wan: "wan", lans: ["eth0"], external: null },
  ];
  for (const [at, place] of places.entries()) {
    prepareMiniupnpd(place);
    await startMiniupnpd(lab, place, { enable_natpmp: "yes", uuid: `00000000-0000-0000-0000-00000000000${at + 1}` });
  }
});
afterAll(() => lab[Symbol.asyncDispose]());

/** The ports that a router has open. */
async function ports(router: Host): Promise<string[]> {
  const { stdout } = await lab.exec(router, ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]);
  return [...stdout.matchAll(/dport (\d+).*dnat ip to/g)].map(([, port = ""]) => port);
}

/** What both have open while `map` runs. */
async function whileMapped(host: string, ...args: readonly string[]): Promise<readonly string[][]> {
  await using opened = await open(lab, home, "map", "8080", "--family", "ipv4", ...args);
  expect(opened.endpoints).toMatchObject([{ host, port: 8080 }]);
  return [await ports(lab.router), await ports(lab.other)];
}

describe.each(["pcp", "nat-pmp", "igd"])("%s", (only) => {
  test("a port is opened at the gateway of the default route alone", async () => {
    expect(await whileMapped(HOME.line, "--protocol-only", only)).toEqual([["8080"], []]);
    expect(await ports(lab.router)).toEqual([]);
  });

  test("--router chooses the other", async () => {
    const args = ["--protocol-only", only, "--router", HOME.other];
    expect(await whileMapped(SECOND_LINE, ...args)).toEqual([[], ["8080"]]);
    expect(await ports(lab.other)).toEqual([]);
  });
});

test.each([
  ["the gateway", [], HOME.router, HOME.line],
  ["the one that --router names", ["--router", HOME.other], HOME.other, SECOND_LINE],
] as const)("router shows %s", async (_, args, address, line) => {
  const { stdout } = await run(lab, home, "router", "--no-stun", "--json", ...args);
  const { routers, externalAddress, protocols } = JSON.parse(stdout) as {
    routers: readonly { family: number; address: string }[];
    externalAddress: string;
    protocols: readonly { router: string; failure: object | null }[];
  };
  expect(routers.filter(({ family }) => family === 4).map((one) => one.address)).toEqual([address]);
  expect(externalAddress).toBe(line);
  const spoken = protocols.filter(({ router, failure }) => router === address && failure === null);
  expect(spoken.length).toBe(3);
});

describe("another network while it runs", () => {
  const ip = (...commands: readonly string[]): void => ipBatch(lab.agent.namespace, commands);
  const mapped = () => open(lab, home, "map", "8100", "--family", "ipv4");
  const exposedAgain = ({ child }: Opened) => child.event<Pick<Opened, "endpoints">>("exposed", { fromLine: 1 });

  test("the default route leads to the other router: the port is opened there", async () => {
    await using map = await mapped();
    ip(`route replace default via ${HOME.other}`);
    try {
      expect((await exposedAgain(map)).endpoints).toMatchObject([{ host: SECOND_LINE, port: 8100 }]);
      expect(await ports(lab.other)).toEqual(["8100"]);
    } finally {
      ip(`route replace default via ${HOME.router}`);
    }
  });

  test("another address of this machine: the port leads there", async () => {
    await using map = await mapped();
    ip("address add 192.168.1.21/24 dev eth0", `address delete ${HOME.agent}/24 dev eth0`);
    ip("address replace 192.168.1.21/24 dev eth0", `route replace default via ${HOME.router}`);
    try {
      const { endpoints } = await exposedAgain(map);
      expect(endpoints).toMatchObject([{ host: HOME.line, internalHost: "192.168.1.21", internalPort: 8100 }]);
      // The router lets only the old address take back what it was given: until that lease ends the port is taken.
      expect(await ports(lab.router)).toContain(String(endpoints[0]?.port));
    } finally {
      ip("address flush dev eth0 scope global", `address add ${HOME.agent}/24 dev eth0`);
      ip(`address add ${HOME.agent6}/64 dev eth0 nodad`, `route replace default via ${HOME.router}`);
      ip(`route replace ::/0 via ${HOME.router6}`);
    }
  });
});
