import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { launchChromium } from "../fixtures/chromium.ts";
import { ROOT } from "../fixtures/documents.ts";
import { browserAt } from "./desk.ts";
import { AGENT_PORT, command, type Home, joinCode, newHome, run } from "./hatchway.ts";
import { startService, startVisitor, visit } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";

/**
 * Makes docs/console.png, the picture of the README: `npm run picture`, as root. A relay, two devices and visitors, all real,
 * each on a machine of its own; so the ports are those that people know, and none is busy.
 */
const PICTURE = join(ROOT, "docs/console.png");
/** A README is read over telephones, too. */
const MOST_BYTES = 200_000;
const PUBLIC_NAME = "relay.example.com";
const CONSOLE_PORT = 7780;
const DEADLINE_MS = 20_000;
const PATIENCE_MS = 15_000;

interface Opened {
  readonly device: "den" | "attic";
  readonly ports: string;
  readonly name: string;
  readonly more?: readonly string[];
}

const FORWARDS: readonly Opened[] = [
  { device: "den", ports: "80, 443", name: "Web" },
  { device: "den", ports: "25565", name: "Minecraft", more: ["--connections-per-source", "5"] },
  { device: "den", ports: "8810-8815", name: "Game servers" },
  { device: "attic", ports: "2222:22/tcp", name: "SSH", more: ["--allow", "203.0.113.0/24"] },
  { device: "attic", ports: "8554/tcp", name: "Camera", more: ["--health-check", "1s"] },
];
/** To a port: how many stay, and how many bytes somebody sent and was sent before. */
const VISITORS = [
  { port: 443, stay: 3, bytes: 48_000_000 },
  { port: 80, stay: 0, bytes: 2_600_000 },
  { port: 25_565, stay: 2, bytes: 9_100_000 },
  { port: 8_812, stay: 1, bytes: 640_000 },
  { port: 2_222, stay: 1, bytes: 71_000 },
] as const;

await using lab = createLab();
const relayHome = newHome(lab, lab.relay);
const listen = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", PUBLIC_NAME, "--ports", "80,443,1024-65535"];
const relay = lab.spawn(
  lab.relay,
  command(relayHome, "serve", ...listen, "--console", `127.0.0.1:${CONSOLE_PORT}`, "--json"),
);
const { console: pages } = await relay.event<{ console: { setupLink: string } }>("ready", { deadlineMs: DEADLINE_MS });
await startService(lab, lab.agent, ...["80", "443", "25565", "8810-8815"].map((port) => `echo:tcp:${port}`));
await startService(lab, lab.other, "echo:tcp:22");
await joinAs(lab.agent, "den");
await joinAs(lab.other, "attic");
for (const { device, ports, name, more = [] } of FORWARDS) {
  await must("forward", "add", ports, "--name", name, "--device", device, ...more);
}

const page = await openConsole(lab, pages.setupLink);
for (const { port, stay, bytes } of VISITORS) {
  for (let visitor = 0; visitor < stay; visitor++) startVisitor(lab, lab.visitor, "watch", lab.relay.v4, port, "hello");
  await visit(lab, lab.visitor, "ask", lab.relay.v4, port, bytes);
}
await takePicture(page);

async function joinAs(host: Host, name: string): Promise<void> {
  // The name is for people: in the lab the relay is at its address.
  const home: Home = newHome(lab, host, `[agent]\nrelay = "${lab.relay.v4}:${AGENT_PORT}"\n`);
  const code = await joinCode(lab, relayHome, name);
  const agent = lab.spawn(host, command(home, "agent", "--managed", "--join", code, "--json"));
  await agent.event("connected", { deadlineMs: DEADLINE_MS });
}

async function must(...args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await run(lab, relayHome, ...args);
  if (exitCode !== 0) throw new Error(`hatchway ${args.join(" ")}: ${stderr}`);
}

async function openConsole(lab: Lab, link: string): Promise<Page> {
  const browser = await launchChromium(await browserAt(lab, lab.relay));
  const settings = { viewport: { width: 1_280, height: 1_040 }, locale: "en-GB", timezoneId: "UTC" };
  const opened = await browser.newPage({ ...settings, colorScheme: "light" });
  opened.setDefaultTimeout(PATIENCE_MS);
  await opened.goto(link);
  await opened.getByLabel("Name").fill("ann");
  await opened.getByLabel("Password").fill("correct horse battery");
  await opened.getByRole("button", { name: "Set up" }).click();
  await opened.getByRole("heading", { level: 1, name: "Port forwarding" }).waitFor();
  return opened;
}

/** As it is while somebody opens two ports more. */
async function takePicture(opened: Page): Promise<void> {
  const row = (name: string) => opened.getByRole("row").filter({ hasText: name });
  for (const [name, now] of [
    ["Web", 3],
    ["Minecraft", 2],
    ["Game servers", 1],
    ["SSH", 1],
  ] as const)
    await row(name).getByText(`${now} now`).waitFor();
  await row("SSH").getByText("71 KB in").waitFor();
  await row("Camera").getByText("Unhealthy").waitFor();
  await opened.getByLabel("Ports", { exact: true }).fill("8840, 8820");
  await opened.getByText("TCP 8840").first().waitFor();
  await opened.getByLabel("Device", { exact: true }).selectOption({ label: "den" });
  await opened.getByText("den, the same machine").waitFor();
  await opened.evaluate("document.activeElement.blur()");
  await opened.mouse.move(0, 0);
  const picture = await opened.screenshot({ animations: "disabled" });
  if (picture.length > MOST_BYTES) throw new Error(`the picture has ${picture.length} bytes, more than ${MOST_BYTES}`);
  writeFileSync(PICTURE, picture);
  process.stdout.write(`${PICTURE}: ${picture.length} bytes\n`);
  await opened.context().browser()?.close();
}
