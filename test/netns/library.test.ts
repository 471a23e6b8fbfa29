import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleLibrary, nodeProgram } from "../library/node.ts";
import type { Child } from "./child.ts";
import { createHomeLab, HOME, type HomeLab } from "./home-lab.ts";
import { startService } from "./kit.ts";
import { type MiniupnpdPlace, prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(60_000);
beforeAll(bundleLibrary);

const ROOT = join(import.meta.dir, "../..");
/** An app that imports the library, with Debian's miniupnpd as the router, and a visitor outside. */
const APP = join(import.meta.dir, "peers/library-app.mjs");
const RUNTIMES: [string, () => string[]][] = [
  ["node", () => [nodeProgram()]],
  ["bun", () => [process.execPath, "--no-env-file", "--config=/dev/null"]],
];

const place = (lab: HomeLab): MiniupnpdPlace => ({ host: lab.router, wan: "wan", lans: ["lan"], external: null });

/** A lease may be as short as a client asks for: see the end of a pinhole. */
const SETTINGS = { enable_natpmp: "yes", ipv6_disable: "no", min_lifetime: "1" };

async function homeBehindMiniupnpd(): Promise<{ lab: HomeLab; router: Child }> {
  const lab = createHomeLab();
  prepareMiniupnpd(place(lab));
  return { lab, router: await startMiniupnpd(lab, place(lab), SETTINGS) };
}

async function redirects(lab: HomeLab): Promise<string[]> {
  const { stdout } = await lab.exec(lab.router, ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]);
  return [...stdout.matchAll(/dport (\d+).*dnat ip to ([\d.:]+)/g)].map(([, port, to]) => `${port} → ${to}`).sort();
}

/** What the service behind a port says to a visitor; "" = nobody is there. */
async function visit(lab: HomeLab, address: string, port: number): Promise<string> {
  const place = `TCP:${address.includes(":") ? `[${address}]` : address}:${port},connect-timeout=1`;
  return (await lab.exec(lab.visitor, ["socat", "-u", "-T10", place, "-"])).stdout.trim();
}

interface Opened {
  readonly runtime: string;
  readonly endpoints: readonly { readonly family: string; readonly host: string; readonly port: number }[];
  readonly router: object;
  readonly note: object | null;
}

describe.each(RUNTIMES)("an app on %s", (runtime, program) => {
  test("opens a port for visitors, IPv6 too, and takes it away", async () => {
    const { lab } = await homeBehindMiniupnpd();
    await using _lab = lab;
    await startService(lab, lab.agent, "port:tcp:8080");
    const app = lab.spawn(lab.agent, [...program(), APP, "8080", JSON.stringify({ name: "web" })]);
    const opened = await app.event<Opened>("open");
    expect(opened).toMatchObject({
      runtime,
      endpoints: [
        { family: "ipv4", host: HOME.line, port: 8080, internalHost: HOME.agent },
        { family: "ipv6", host: HOME.agent6, port: 8080, internalHost: HOME.agent6 },
      ],
      router: { protocol: "pcp", address: HOME.router },
      note: null,
    });
    expect(await visit(lab, HOME.line, 8080)).toBe("8080");
    expect(await visit(lab, HOME.agent6, 8080)).toBe("8080");
    app.signal("SIGINT");
    expect(await app.event("closed")).toMatchObject({ state: "closed" });
    // Nothing keeps it running, and nobody but the app itself has said anything.
    expect([await app.exited, app.stderr]).toEqual([0, []]);
    expect(await redirects(lab)).toEqual([]);
    // Where the machine was busy, and the app asked for its pinhole twice, this miniupnpd (2.3.1) has forgotten whose it is, and
    // refuses to delete it. The app has made its lease a second then, and the router ends it at its next look.
    const isGone = async () => ((await visit(lab, HOME.agent6, 8080)) === "" ? true : undefined);
    await eventually("the end of the pinhole", isGone, 5_000);
  });

  test("hears that the router started again, and has its port again", async () => {
    const { lab, router } = await homeBehindMiniupnpd();
    await using _lab = lab;
    const startedSec = Math.floor(Date.now() / 1000);
    await startService(lab, lab.agent, "port:tcp:8080");
    const app = lab.spawn(lab.agent, [...program(), APP, "8080", JSON.stringify({ family: "ipv4" })]);
    await app.event("open");
    router.signal("SIGKILL");
    await router.exited;
    lab.nft(lab.router, "flush chain inet filter prerouting_miniupnpd\nflush chain inet filter miniupnpd");
    // It tells its starts apart by the second in which they were (BOOTID.UPNP.ORG).
    const isLater = () => (Date.now() / 1000 > startedSec + 1 ? true : undefined);
    await eventually("a later second", isLater, 2000);
    await startMiniupnpd(lab, place(lab), SETTINGS);
    const told = await app.line(
      "what happened",
      (line) => (line.includes('"state":"open"') ? line : undefined),
      20_000,
    );
    expect(told).toMatch(/"event":"(renewed|reopened)"/);
    expect(await redirects(lab)).toEqual([`8080 → ${HOME.agent}:8080`]);
    expect(await visit(lab, HOME.line, 8080)).toBe("8080");

    app.signal("SIGINT");
    expect(await app.exited).toBe(0);
    expect(await redirects(lab)).toEqual([]);
  });
});

test.each(["pcp", "nat-pmp", "igd"])("on Node, a set by %s alone", async (protocolOnly) => {
  const { lab } = await homeBehindMiniupnpd();
  await using _lab = lab;
  const options = JSON.stringify({ protocolOnly, family: "ipv4" });
  const app = lab.spawn(lab.agent, [nodeProgram(), APP, "8080-8082,9000/udp", options]);
  await app.event("open");
  expect(await redirects(lab)).toEqual([
    `8080 → ${HOME.agent}:8080`,
    `8081 → ${HOME.agent}:8081`,
    `8082 → ${HOME.agent}:8082`,
    `9000 → ${HOME.agent}:9000`,
  ]);
  app.signal("SIGINT");
  expect(await app.exited).toBe(0);
  expect(await redirects(lab)).toEqual([]);
});

test("on Node, a port that somebody else has: one error, and the app ends", async () => {
  const { lab } = await homeBehindMiniupnpd();
  await using _lab = lab;
  await lab.exec(lab.other, ["upnpc", "-a", HOME.other, "8080", "8080", "tcp", "600"]);
  const options = JSON.stringify({ samePort: true, family: "ipv4" });
  const app = lab.spawn(lab.agent, [nodeProgram(), APP, "8080", options]);
  expect(await app.event("error")).toMatchObject({ name: "OpenPortError", kind: "conflict" });
  expect(await app.exited).toBe(0);
});

test("on Node, it is silent, unless the app sets up LogTape for it", async () => {
  const { lab } = await homeBehindMiniupnpd();
  await using _lab = lab;
  const packages = join(lab.directory, "node_modules");
  mkdirSync(join(packages, "@logtape"), { recursive: true });
  symlinkSync(ROOT, join(packages, "hatchway"));
  symlinkSync(join(ROOT, "node_modules/@logtape/logtape"), join(packages, "@logtape/logtape"));
  // The port of the router's announcements is in use, which is worth a line.
  const code = `
    import { configure } from "@logtape/logtape";
    import { openPort } from "hatchway";
    import { createSocket } from "node:dgram";
    import { once } from "node:events";
    const logged = Promise.withResolvers();
    const lines = (record) => logged.resolve(console.log(record.category.join("."), record.message.join("")));
    const loggers = [{ category: "hatchway", sinks: ["lines"], lowestLevel: "debug" }, { category: ["logtape", "meta"], sinks: [] }];
    if (process.argv[2] === "log") await configure({ sinks: { lines }, loggers });
    const socket = createSocket("udp4").bind(5350);
    await once(socket, "listening");
    const port = await openPort(8080, { family: "ipv4", protocolOnly: "pcp" });
    if (process.argv[2] === "log") await logged.promise;
    await port.close();
    socket.close();
  `;
  const path = join(lab.directory, "app.mjs");
  writeFileSync(path, code);
  const heard = await lab.exec(lab.agent, [nodeProgram(), path, "log"]);
  expect(heard.stdout).toMatch(/^hatchway\.router What the router at 192\.168\.1\.1 announces is not heard/);
  const silent = await lab.exec(lab.agent, [nodeProgram(), path]);
  expect(silent).toEqual({ exitCode: 0, stdout: "", stderr: "" });
});
