import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { newHome, open, query, type Site, startSite, status, writeConfig } from "./hatchway.ts";
import { curl, startNginx, startService, startVisitor, visitUdp } from "./kit.ts";
import { createLab, type Lab, VISITOR_SECOND_V4, VISITOR_SECOND_V6 } from "./lab.ts";
import { eventually, listening } from "./ready.ts";

/**
 * A relay behind load balancers: HAProxy, nginx and a direct forward of ours, on the NAT box, which the relay lists.
 * Services behind a real agent say who the visitor is.
 */
const PORT = { v2: 9001, v1: 9002, nginx: 9003, silent: 9004, watch: 9005, udp: 9006, friends: 9007 } as const;
/** nginx at the agent, which asks for PROXY protocol and answers with what it says. */
const WHO = 8081;
const AGENT_TOML = `
[[expose]]
ports = ${WHO}
name = "who"
proxy-protocol = "v2"
[[expose]]
ports = "12000:${WHO}"
name = "friends"
proxy-protocol = "v1"
allow = ["${VISITOR_SECOND_V4}"]
[[expose]]
ports = "7001,7002"
name = "plain"
[[expose]]
ports = "7004/udp"
name = "datagrams"
proxy-protocol = "v2"
`;
const BALANCERS = 'proxy-protocol-from = ["203.0.113.20/32"]\n';

let lab: Lab;
let site: Site;

async function startHaproxy(): Promise<Child> {
  const to = (port: number, how: string) => `server relay ${lab.relay.v4}:${port} ${how}`;
  // Its checks are LOCAL headers, or UNKNOWN ones: after three that fail it would let nobody in. `inter` is their deadline, too.
  const checked = "check inter 300ms fall 3";
  const fronts: [number, string][] = [
    [PORT.v2, to(WHO, `send-proxy-v2 ${checked}`)],
    [PORT.v1, to(WHO, `send-proxy ${checked}`)],
    [PORT.silent, to(WHO, "")],
    [PORT.watch, to(7002, "send-proxy-v2")],
    [PORT.friends, to(12_000, "send-proxy-v2")],
  ];
  const config = [
    "defaults",
    " mode tcp",
    " timeout connect 5s",
    " timeout client 20s",
    " timeout server 20s",
    ...fronts.flatMap(([port, server]) => [`listen at${port}`, ` bind :::${port} v4v6`, ` ${server}`]),
    "",
  ].join("\n");
  const file = join(lab.directory, "haproxy.cfg");
  writeFileSync(file, config);
  const child = lab.spawn(lab.nat, ["haproxy", "-db", "-f", file]);
  await listening(child, "tcp", PORT.v2);
  return child;
}

async function startNginxStream(): Promise<Child> {
  const directory = mkdtempSync(join(lab.directory, "nginx-stream-"));
  const config = `
    load_module /usr/lib/nginx/modules/ngx_stream_module.so;
    daemon off; master_process off; user root; pid ${directory}/pid; error_log stderr warn;
    events { worker_connections 64; }
    stream { server { listen ${PORT.nginx}; listen [::]:${PORT.nginx}; proxy_protocol on; proxy_pass ${lab.relay.v4}:${WHO}; } }`;
  const file = join(directory, "nginx.conf");
  writeFileSync(file, config);
  const child = lab.spawn(lab.nat, ["nginx", "-p", directory, "-e", "stderr", "-c", file]);
  await listening(child, "tcp", PORT.nginx);
  return child;
}

/** Of the NAT box as well: agents behind it come from there, and the balancers from its first address. */
const AGENTS_FROM = "203.0.113.21";

async function agentsFromElsewhere(): Promise<void> {
  const rule = `insert rule inet lab postrouting oifname wan ip saddr ${lab.agent.v4} snat ip to ${AGENTS_FROM}`;
  const script = `ip address add ${AGENTS_FROM}/24 dev wan && nft '${rule}'`;
  const { exitCode, stderr } = await lab.exec(lab.nat, ["sh", "-c", script]);
  if (exitCode !== 0) throw new Error(stderr);
}

beforeAll(async () => {
  lab = createLab();
  await agentsFromElsewhere();
  const [started] = await Promise.all([
    startSite(lab, { relay: `[relay]\n${BALANCERS}`, agent: AGENT_TOML }),
    startNginx(lab, lab.agent, WHO - 1, "page"),
    startService(lab, lab.agent, "echo:tcp:7001", "watch:tcp:7002", "header:udp:7004"),
    startHaproxy(),
    startNginxStream(),
  ]);
  site = started;
}, 40_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** Whom the service takes the visitor for; empty = nothing came. */
const who = async (port: number, host = lab.nat.v4, from = lab.visitor.v4): Promise<string> =>
  (await curl(lab, lab.visitor, "--interface", from, `http://${host}:${port}/`)).stdout.split(" ")[0] ?? "";

const refused = async (): Promise<number> => (await status(lab, site.relayHome)).counters.refused["proxyHeader"] ?? 0;

const told = (words: string) =>
  eventually(words, () => site.relay.stderr.some((line) => line.includes(words)) || undefined);

/** Sends the text and gives back what came until the end. */
const say = async (text: string, port: number): Promise<string> =>
  (await lab.exec(lab.visitor, ["sh", "-c", `printf '${text}' | socat -t10 -T10 - TCP:${lab.relay.v4}:${port}`]))
    .stdout;

describe("behind a balancer that is listed", () => {
  test.each([
    ["HAProxy, send-proxy-v2", PORT.v2],
    ["HAProxy, send-proxy", PORT.v1],
    ["nginx, proxy_protocol on", PORT.nginx],
  ])("%s: the visitor's address arrives at the service, IPv4 and IPv6", async (_, port) => {
    await eventually("the relay is up for the balancer", async () => (await who(port)) || undefined);
    expect(await who(port)).toBe(lab.visitor.v4);
    expect(await who(port, lab.nat.v4, VISITOR_SECOND_V4)).toBe(VISITOR_SECOND_V4);
    expect(await who(port, `[${lab.nat.v6}]`, VISITOR_SECOND_V6)).toBe(VISITOR_SECOND_V6);
    // Nor are HAProxy's health checks, a few a second.
    expect(await refused()).toBe(0);
  });

  test("and in the relay's and the agent's lists", async () => {
    await using held = startVisitor(lab, lab.visitor, "hold", lab.nat.v4, PORT.watch, 1);
    await held.event("holding");
    for (const home of [site.relayHome, site.agentHome]) {
      const { visits } = await query<{ visits: { visitor: string; entry: string }[] }>(lab, home, "status", "--visits");
      expect(visits).toContainEqual(
        expect.objectContaining({
          visitor: expect.stringContaining(`${lab.visitor.v4}:`),
          entry: `${lab.nat.v4}:${PORT.watch}`,
        }),
      );
    }
  });

  test("a forward's own source list is about visitors, not about the balancer", async () => {
    expect(await who(PORT.friends, lab.nat.v4, VISITOR_SECOND_V4)).toBe(VISITOR_SECOND_V4);
    expect(await who(PORT.friends)).toBe("");
    expect((await status(lab, site.relayHome)).counters.refused["sourceNotAllowed"]).toBeGreaterThanOrEqual(1);
  });

  test("UDP: version 2 on each datagram, here from a direct forward of ours", async () => {
    const balancer = newHome(lab, lab.nat);
    const from = ["direct", `*:${PORT.udp}`, `${lab.relay.v4}:7004`, "--protocol", "udp"];
    await using _ = await open(lab, balancer, ...from, "--proxy-protocol", "v2");
    const { answer } = await visitUdp<{ answer: string }>(lab, lab.visitor, "ask", lab.nat.v4, PORT.udp, "hello");
    expect(JSON.parse(answer)).toMatchObject({ source: lab.visitor.v4, payload: "hello" });
    const direct = await visitUdp<{ answer: string }>(lab, lab.visitor, "ask", lab.relay.v4, 7004, "hello");
    expect(JSON.parse(direct.answer)).toMatchObject({ source: lab.visitor.v4, payload: "hello" });
  });

  test("without a header nobody is let in, and the log says what to do", async () => {
    const before = await refused();
    expect(await who(PORT.silent)).toBe("");
    expect(await refused()).toBe(before + 1);
    await told("sent no PROXY protocol header. Turn it on there (HAProxy: send-proxy-v2");
  });
});

describe("from a source that is not listed", () => {
  test.each([
    ["version 1", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\\r\\nhello"],
    [
      "version 2",
      "\\r\\n\\r\\n\\000\\r\\nQUIT\\n!\\021\\000\\014\\300\\000\\002\\001\\306\\063\\144\\002\\000\\001\\000\\002hello",
    ],
  ])("a header of %s is refused", async (_, header) => {
    const before = await refused();
    expect(await say(header, 7001)).toBe("");
    expect(await refused()).toBe(before + 1);
    await told(`A visitor from ${lab.visitor.v4} was refused: it sent a PROXY protocol header.`);
  });

  test("everything else passes, and a service that speaks first is heard at once", async () => {
    expect(await say("PROXIES are welcome", 7001)).toBe("PROXIES are welcome");
    await using held = startVisitor(lab, lab.visitor, "reset", lab.relay.v4, 7002);
    await held.event("done");
    expect(await who(WHO, lab.relay.v4)).toBe(lab.visitor.v4);
  });
});

test("a reload changes the list: without it a header is a visitor's first bytes, and connections stay", async () => {
  const line = "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\\r\\n";
  await using held = startVisitor(lab, lab.visitor, "hold", lab.nat.v4, PORT.watch, 1);
  await held.event("holding");
  const open = async () => (await status(lab, site.relayHome)).counters.visitorsOpen;
  const before = await open();
  writeConfig(site.relayHome, "");
  site.relay.signal("SIGHUP");
  await eventually("it passes", async () => (await say(line, 7001)).startsWith("PROXY TCP4") || undefined);
  expect(await who(PORT.v2)).not.toBe(lab.visitor.v4);
  expect(await open()).toBe(before);
  writeConfig(site.relayHome, `[relay]\n${BALANCERS}`);
  site.relay.signal("SIGHUP");
  await eventually("it is refused again", async () => (await say(line, 7001)) === "" || undefined);
  expect(await who(PORT.nginx)).toBe(lab.visitor.v4);
});
