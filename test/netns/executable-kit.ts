import { expect } from "bun:test";
import { cpSync, linkSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { AGENT_PORT } from "./hatchway.ts";
import { curl, startService } from "./kit.ts";
import type { Host, Lab } from "./lab.ts";

export const SERVICE_PORT = 8_000;
/** The executable's name in a root directory. */
export const PROGRAM = "hatchway";
const CONSOLE = "127.0.0.1:7780";

export function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    cpSync(from, to); // another file system
  }
}

/** With /proc, which every system has: Bun finds its stack there. It goes with the program. */
const inRoot = (root: string, ...args: readonly string[]): string[] => [
  "unshare",
  `--mount-proc=${join(root, "proc")}`,
  "chroot",
  root,
  `/${PROGRAM}`,
  ...args,
];

async function joinCode(lab: Lab, root: string): Promise<string> {
  const made = await lab.exec(lab.relay, inRoot(root, "join-code", "create", "--name", "attic", "--data", "/relay"));
  expect(made.stderr).toBe("");
  return made.stdout.trim();
}

/** A relay and an agent with that root directory: a visitor reaches a service through them, and the console has its pages. */
export async function doesItsJob(lab: Lab, root: string): Promise<void> {
  await startService(lab, lab.nat, "--host", "127.0.0.1", `peer:tcp:${SERVICE_PORT}`);
  const spawn = (host: Host, ...args: string[]): Child => lab.spawn(host, inRoot(root, ...args, "--json"));
  const places = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", lab.relay.v4, "--console", CONSOLE];
  const relay = spawn(lab.relay, "serve", ...places, "--data", "/relay");
  // A program of a hundred megabytes, that nothing has read before.
  await relay.event("ready", { deadlineMs: 40_000 });

  const agent = spawn(lab.nat, "agent", "--join", await joinCode(lab, root), "--data", "/agent");
  await agent.event("connected");
  const exposed = spawn(lab.nat, "expose", `${SERVICE_PORT}`, "--data", "/agent");
  await exposed.event("exposed");
  const { stdout: answer } = await curl(lab, lab.visitor, "--http0.9", `${lab.relay.v4}:${SERVICE_PORT}`);
  expect(answer).toMatch(/^127\.0\.0\.1 \d+$/);

  const page = await curl(lab, lab.relay, `http://${CONSOLE}/`);
  expect(page.stdout).toStartWith("<!doctype html>");
  const assets = [...page.stdout.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = ""]) => path);
  expect(assets.map((path) => path.slice(path.lastIndexOf(".")))).toEqual([".svg", ".css", ".js"]);
  for (const path of [...assets, "/docs/api"]) {
    const { stdout } = await curl(lab, lab.relay, "-o", "/dev/null", "-w", "%{http_code}", `http://${CONSOLE}${path}`);
    expect({ path, status: stdout }).toEqual({ path, status: "200" });
  }
  for (const child of [exposed, agent, relay]) {
    child.signal("SIGTERM");
    expect(await child.exited).toBe(0);
  }
  expect(relay.stderr).toEqual([]);
}
