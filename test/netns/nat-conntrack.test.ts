import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Conntrack, createConntrack } from "../../src/dataplanes/nat/conntrack.ts";
import type { NatForward, NatPinhole } from "../../src/dataplanes/nat/state.ts";
import type { Run } from "../../src/os/command.ts";
import { ok } from "../../src/wire/result.ts";
import type { Child } from "./child.ts";
import { startService, visitUdp } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";
import { eventually } from "./ready.ts";

/** The rules of the nat data plane in small: dispatch by a map, and a forward chain that takes what goes on. */
const RULES = `
table inet hatchway {
  map forwards { type inet_proto . inet_service : ipv4_addr . inet_service; }
  set pinholes { type ipv6_addr . inet_proto . inet_service; }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    fib daddr type local dnat ip addr . port to meta l4proto . th dport map @forwards;
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept;
    iifname != "wan" accept;
    ct status dnat accept;
    ip6 daddr . meta l4proto . th dport @pinholes accept;
    counter drop;
  }
}`;
const forward = (protocol: "tcp" | "udp", first: number, to: string, last = first): NatForward => ({
  kind: "forward",
  id: `${protocol}-${first}`,
  protocol,
  first,
  last,
  to,
  internalFirst: first,
  allow: [],
  deny: [],
  limits: null,
});

let lab: Lab;
let run: Run;
let conntrack: Conntrack;
const inNat = (argv: readonly string[], input = ""): string =>
  tool(["ip", "netns", "exec", lab.nat.namespace, ...argv], input);
const nft = (command: string): string => inNat(["nft", "-f", "-"], command);
const put = ({ protocol, first, to, internalFirst }: NatForward): string =>
  nft(`add element inet hatchway forwards { ${protocol} . ${first} : ${to} . ${internalFirst} }`);
const remove = ({ protocol, first }: NatForward): string =>
  nft(`delete element inet hatchway forwards { ${protocol} . ${first} }`);
const count = (): number => Number(inNat(["conntrack", "-C"]));

beforeAll(() => {
  lab = createLab({ natRules: false });
  nft(RULES);
  run = async (argv, { input = "" } = {}) => {
    const child = Bun.spawn(["ip", "netns", "exec", lab.nat.namespace, ...argv], {
      stdin: new Blob([input]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return ok({ exitCode: await child.exited, stdout, stderr });
  };
  conntrack = createConntrack({ run, ownAddresses: () => [lab.nat.v4, lab.nat.v6] });
});
afterAll(() => lab?.[Symbol.asyncDispose]());

interface Talking {
  readonly child: Bun.Subprocess<"pipe", "pipe", "ignore">;
  say(text: string): void;
  heard(): string;
}

/** A socket that stays one flow: what is said is a datagram, or a piece of the stream. */
function talking(host: Host, address: string): Talking {
  const child = Bun.spawn(["ip", "netns", "exec", host.namespace, "socat", "-", address], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  let heard = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) heard += decoder.decode(bytes);
  })();
  return {
    child,
    say(text) {
      child.stdin.write(text);
      child.stdin.flush();
    },
    heard: () => heard,
  };
}

describe("UDP", () => {
  const game = forward("udp", 7001, "192.168.77.2");
  let service: Child;
  beforeAll(async () => {
    service = await startService(lab, lab.agent, "echo:udp:7001");
  });
  afterAll(() => service.kill());

  test("a visitor that kept trying before the port was led reaches the client", async () => {
    const visitor = talking(lab.visitor, `UDP4-SENDTO:${lab.nat.v4}:7001,sourceport=40001`);
    visitor.say("early\n");
    await eventually(
      "the flow to the gateway itself",
      () => inNat(["conntrack", "-L", "-p", "udp"]).includes("sport=40001") || undefined,
    );
    put(game);
    visitor.say("still past it\n");
    expect(await conntrack.forget([game])).toEqual(ok({ flows: 1 }));
    visitor.say("now\n");
    await eventually("the answer", () => visitor.heard().includes("now") || undefined);
    expect(visitor.heard()).toBe("now\n");
    visitor.child.kill();
  });

  test("a flow ends with its forward, and one that it leads elsewhere goes there", async () => {
    const visitor = talking(lab.visitor, `UDP4-SENDTO:${lab.nat.v4}:7001,sourceport=40002`);
    visitor.say("one\n");
    await eventually("the first answer", () => visitor.heard().includes("one") || undefined);
    const elsewhere = { ...game, to: "192.168.78.2" };
    await using other = await startService(lab, lab.other, "echo:udp:7001");
    remove(game);
    put(elsewhere);
    visitor.say("two\n");
    await eventually("the old way, still", () => visitor.heard().includes("two") || undefined);
    await service.kill();
    expect(await conntrack.forget([game, elsewhere])).toMatchObject({ ok: true, value: { flows: expect.any(Number) } });
    visitor.say("three\n");
    await eventually("the new way", () => visitor.heard().includes("three") || undefined);
    remove(elsewhere);
    await conntrack.forget([elsewhere]);
    visitor.child.kill();
    await other.kill();
    service = await startService(lab, lab.agent, "echo:udp:7001");
  });

  test("flows of clients to the same port somewhere else stay", async () => {
    await using _ = await startService(lab, lab.relay, "echo:udp:7001");
    nft("table inet out { chain post { type nat hook postrouting priority srcnat; oifname wan masquerade\n }\n }");
    expect(await visitUdp<object>(lab, lab.agent, "ask", lab.relay.v4, 7001, "out")).toMatchObject({ answer: "out" });
    const before = count();
    expect(await conntrack.forget([game])).toEqual(ok({ flows: 0 }));
    expect(count()).toBe(before);
    nft("delete table inet out");
  });

  test("a pinhole's flows end with it", async () => {
    const pinhole: NatPinhole = {
      kind: "pinhole",
      id: "p",
      protocol: "udp",
      first: 7001,
      last: 7001,
      to: lab.agent.v6,
      allow: [],
      deny: [],
      limits: null,
    };
    tool(["ip", "-n", lab.visitor.namespace, "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
    nft(`add element inet hatchway pinholes { ${lab.agent.v6} . udp . 7001 }`);
    const visitor = talking(lab.visitor, `UDP6-SENDTO:[${lab.agent.v6}]:7001,sourceport=40003`);
    visitor.say("one\n");
    await eventually("the first answer", () => visitor.heard().includes("one") || undefined);
    nft("flush set inet hatchway pinholes");
    const before = dropped();
    expect(await conntrack.forget([pinhole])).toEqual(ok({ flows: 1 }));
    visitor.say("two\n");
    await eventually("a drop", () => dropped() > before || undefined);
    expect(visitor.heard()).toBe("one\n");
    visitor.child.kill();
  });
});

/** Packets that the forward chain's last rule dropped. */
function dropped(): number {
  return Number(nft("list chain inet hatchway forward").match(/counter packets (\d+)/)?.[1]);
}

describe("TCP", () => {
  const web = forward("tcp", 7005, "192.168.77.2");

  test("a connection ends with its forward, though the kernel picks connections up in the middle", async () => {
    expect(
      tool(["ip", "netns", "exec", lab.nat.namespace, "sysctl", "-n", "net.netfilter.nf_conntrack_tcp_loose"]).trim(),
    ).toBe("1");
    await using _ = await startService(lab, lab.agent, "echo:tcp:7005");
    put(web);
    const visitor = talking(lab.visitor, `TCP4:${lab.nat.v4}:7005`);
    visitor.say("one\n");
    await eventually("the first answer", () => visitor.heard().includes("one") || undefined);
    remove(web);
    visitor.say("two\n");
    await eventually("it goes on while it is known", () => visitor.heard().includes("two") || undefined);
    expect(await conntrack.forget([web])).toEqual(ok({ flows: 1 }));
    visitor.say("three\n");
    // No DNAT: the segment is for the gateway, which has no such connection and answers with a reset.
    await visitor.child.exited;
    expect(visitor.heard()).toBe("one\ntwo\n");
  });

  test.each([
    // From a port that no visitor knows: both sides answer with a reset.
    ["SNAT to a range of its own ends it", "meta l4proto tcp masquerade to :30000-31000", false],
    // The port is kept, so that the visitor takes it for the old connection. NatSettings.snatPorts is what prevents it.
    ["SNAT that keeps the port brings it back", "masquerade", true],
  ])("when the service speaks first afterwards, %s", async (_, masquerade, goesOn) => {
    nft(`table inet out { chain post { type nat hook postrouting priority srcnat; oifname wan ${masquerade}\n }\n }`);
    const service = talking(lab.agent, "TCP4-LISTEN:7005,reuseaddr");
    await eventually("a listener", () => listeners() === 1 || undefined);
    put(web);
    const visitor = talking(lab.visitor, `TCP4:${lab.nat.v4}:7005`);
    visitor.say("one\n");
    await eventually("the first word", () => service.heard().includes("one") || undefined);
    remove(web);
    expect(await conntrack.forget([web])).toEqual(ok({ flows: 1 }));
    service.say("two\n");
    if (goesOn) await eventually("the next word", () => visitor.heard().includes("two") || undefined);
    else await service.child.exited;
    expect(visitor.heard()).toBe(goesOn ? "two\n" : "");
    for (const { child } of [service, visitor]) {
      child.kill();
      await child.exited;
    }
    nft("delete table inet out");
  });

  test.each([
    ["goes on when the host speaks first", null],
    [
      "ends, where the forward chain takes no connection in the middle",
      "insert rule inet hatchway forward iifname lan1 ct state new tcp flags & (fin | syn | rst | ack) != syn reject with tcp reset",
    ],
  ])("through a pinhole that was removed, a connection %s", async (_, rule) => {
    if (rule !== null) nft(rule);
    const pinhole: NatPinhole = { ...web, kind: "pinhole", to: lab.agent.v6 };
    tool(["ip", "-n", lab.visitor.namespace, "route", "replace", "fd00:77::/64", "via", lab.nat.v6]);
    const service = talking(lab.agent, "TCP6-LISTEN:7005,reuseaddr");
    await eventually("a listener", () => listeners() === 1 || undefined);
    nft(`add element inet hatchway pinholes { ${lab.agent.v6} . tcp . 7005 }`);
    const visitor = talking(lab.visitor, `TCP6:[${lab.agent.v6}]:7005`);
    visitor.say("one\n");
    await eventually("the first word", () => service.heard().includes("one") || undefined);
    nft("flush set inet hatchway pinholes");
    expect(await conntrack.forget([pinhole])).toEqual(ok({ flows: 1 }));
    service.say("two\n");
    if (rule === null) await eventually("the next word", () => visitor.heard().includes("two") || undefined);
    else await service.child.exited;
    expect(visitor.heard()).toBe(rule === null ? "two\n" : "");
    for (const { child } of [service, visitor]) {
      child.kill();
      await child.exited;
    }
  });
});

/** Sockets of the service on the agent. */
function listeners(): number {
  const table = tool(["ip", "netns", "exec", lab.agent.namespace, "ss", "-Htan", "sport", "=", ":7005"]);
  return table.split("\n").filter((line) => line.startsWith("LISTEN")).length;
}

describe("many", () => {
  const BATCH = 250;
  const client = (n: number): string => `10.9.${Math.floor(n / BATCH)}.${(n % BATCH) + 1}`;
  const inject = (lines: readonly string[]): string => inNat(["conntrack", "-R", "-"], `${lines.join("\n")}\n`);
  const redirected = (n: number, to: string, port: number): string =>
    `-I -p udp -s 198.18.${Math.floor(n / BATCH)}.${(n % BATCH) + 1} -d ${lab.nat.v4} -g ${to} -q 198.18.${Math.floor(n / BATCH)}.${(n % BATCH) + 1} --sport 9999 --dport ${port} --reply-port-src ${port} --reply-port-dst 9999 -t 600 -u SEEN_REPLY`;
  const outgoing = (n: number): string =>
    `-I -p udp -s 10.8.${n % BATCH}.9 -d 198.19.0.1 -n ${lab.nat.v4} -r 198.19.0.1 --sport ${20_000 + Math.floor(n / BATCH)} --dport 443 --reply-port-src 443 --reply-port-dst ${20_000 + n} -t 600 -u SEEN_REPLY`;

  test("with 10,000 flows present: one entry, a thousand of one client, and a client", async () => {
    inNat(["conntrack", "-F"]);
    inject([
      ...Array.from({ length: 9_000 }, (_, n) => outgoing(n)),
      ...Array.from({ length: 1_000 }, (_, n) => redirected(n, "192.168.77.2", 1_000 + n)),
    ]);
    expect(count()).toBeGreaterThanOrEqual(10_000);
    const timed = async (what: () => ReturnType<Conntrack["forget"]>): Promise<number> => {
      const startedMs = performance.now();
      const result = await what();
      if (process.env["SHOW_TIMES"]) console.log(`${(performance.now() - startedMs).toFixed(0)} ms`);
      return result.ok ? result.value.flows : -1;
    };
    expect(await timed(() => conntrack.forget([forward("udp", 1_000, "192.168.77.2")]))).toBe(1);
    const thousand = Array.from({ length: 999 }, (_, n) => forward("udp", 1_001 + n, "192.168.77.2"));
    expect(await timed(() => conntrack.forget(thousand))).toBe(999);
    expect(await timed(() => conntrack.forget(thousand))).toBe(0);
    expect(await timed(() => conntrack.forgetClient("10.8.7.9"))).toBe(36);
    expect(inNat(["conntrack", "-L", "-s", "10.8.7.9"])).toBe("");
  });

  test("only ports that go, of a client that stays", async () => {
    inNat(["conntrack", "-F"]);
    inject(Array.from({ length: 20 }, (_, n) => redirected(n, client(0), 1_000 + n)));
    expect(await conntrack.forget([forward("udp", 1_000, client(0), 1_009)])).toEqual(ok({ flows: 10 }));
    const left = [...inNat(["conntrack", "-L"]).matchAll(/ dport=(10\d\d) src/g)].map(([, port]) => Number(port));
    expect(left.sort()).toEqual(Array.from({ length: 10 }, (_, n) => 1_010 + n));
  });
});
