import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { libraryExamples } from "../library/examples.ts";
import { bundleLibrary, nodeProgram } from "../library/node.ts";
import { createHomeLab, HOME, type HomeLab, masquerade } from "./home-lab.ts";
import { prepareMiniupnpd, startMiniupnpd } from "./miniupnpd.ts";

setDefaultTimeout(60_000);
beforeAll(bundleLibrary);

/** The programs of docs/library.md for a router, run as they stand there. */
const [untilCtrlC = "", inABlock = "", severalPorts = "", ...more] = libraryExamples().router;
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"];

async function homeBehindMiniupnpd(): Promise<HomeLab> {
  const lab = createHomeLab();
  const place = { host: lab.router, wan: "wan", lans: ["lan"], external: null };
  prepareMiniupnpd(place);
  await startMiniupnpd(lab, place, { enable_natpmp: "yes" });
  return lab;
}

/** An app's directory with the package in it; the path of its one file. */
function app(lab: HomeLab, name: string, code: string): string {
  const directory = join(lab.directory, "app");
  mkdirSync(join(directory, "node_modules"), { recursive: true });
  const link = join(directory, "node_modules/hatchway");
  if (!existsSync(link)) symlinkSync(join(import.meta.dir, "../.."), link);
  writeFileSync(join(directory, name), code);
  return join(directory, name);
}

const mappings = (lab: HomeLab) =>
  lab.exec(lab.router, ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]);

test("there are three", () => {
  expect([untilCtrlC, inABlock, severalPorts].every((code) => code.includes("openPort("))).toBe(true);
  expect(more).toEqual([]);
});

test("they do what the text says", async () => {
  await using lab = await homeBehindMiniupnpd();
  // Node strips types and does not know `await using` before 24.
  for (const program of [[nodeProgram()], BUN]) {
    const first = lab.spawn(lab.agent, [...program, app(lab, "until-ctrl-c.mts", untilCtrlC)]);
    expect(await first.line("the address", (line) => line || undefined)).toBe(`visitors come to ${HOME.line} 25565`);
    first.signal("SIGINT");
    expect(await first.exited).toBe(0);
    expect(first.stdout.at(-1)).toBe("closed");
  }

  const second = lab.spawn(lab.agent, [...BUN, app(lab, "block.mts", inABlock)]);
  expect(await second.line("it is open", (line) => line || undefined)).toBe(`open at ${HOME.line} by pcp`);
  const visit = await lab.exec(lab.visitor, ["curl", "-sS", "--max-time", "5", `http://${HOME.line}:8080/`]);
  expect(visit.stdout.trim()).toBe("hello");
  expect(await second.exited).toBe(0);

  const third = await lab.exec(lab.agent, [nodeProgram(), app(lab, "several.mts", severalPorts)]);
  expect(third.stdout).toContain("lastPort: 8815");
  expect([third.exitCode, third.stderr]).toEqual([0, ""]);
  expect((await mappings(lab)).stdout).not.toContain("dnat");
});

test("and where no router answers, one sentence", async () => {
  await using lab = createHomeLab();
  lab.nft(lab.router, masquerade("wan", "lan"));
  const { stderr, exitCode } = await lab.exec(lab.agent, [nodeProgram(), app(lab, "several.mts", severalPorts)]);
  expect(stderr).toMatch(/^silent: The router at 192\.168\.1\.1 answers neither PCP nor NAT-PMP nor UPnP/);
  expect(exitCode).toBe(0);
});
