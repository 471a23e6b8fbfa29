import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { NatBehaviour } from "../../src/core/stun/discovery.ts";
import type { StunFailure, StunMapped } from "../../src/router/stun.ts";
import type { Result } from "../../src/wire/result.ts";
import { encodeStun } from "../../src/wire/stun/message.ts";
import type { Child } from "./child.ts";
import { AGENT_PORT, command, newHome } from "./hatchway.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";

setDefaultTimeout(60_000);

/** Our STUN client behind real NATs and firewalls of nftables, asking a relay that has two addresses. */
const CLIENT = [process.execPath, "--no-env-file", "--config=/dev/null", join(import.meta.dir, "peers/stun-client.ts")];
const SECOND = { v4: "203.0.113.2", v6: "2001:db8:113::2" } as const;
/** A second outside address of the NAT box. */
const POOLED = "203.0.113.21";
/** A relay that listens at one address has no second one to show. */
const LONE_PORT = 7800;
/** A sixth of the usual: answers take no time here, and silence is waited for often. */
const RTO_MS = 80;
const BEHAVIOUR_MS = 20_000;

let lab: Lab;
const relays: Child[] = [];

beforeAll(async () => {
  lab = createLab({ natRules: false });
  for (const address of [`${SECOND.v4}/24`, `${SECOND.v6}/64`]) {
    await lab.exec(lab.relay, [
      "ip",
      "address",
      "add",
      address,
      "dev",
      "eth0",
      ...(address.includes(":") ? ["nodad"] : []),
    ]);
  }
  await lab.exec(lab.nat, ["ip", "address", "add", `${POOLED}/24`, "dev", "wan"]);
  for (const listen of [`*:${AGENT_PORT}`, `${lab.relay.v4}:${LONE_PORT}`]) {
    const home = newHome(lab, lab.relay);
    const flags = ["--listen", listen, "--public", lab.relay.v4, "--ports", "8000-8099", "--json"];
    const child = lab.spawn(lab.relay, command(home, "serve", ...flags));
    await child.event("ready", { deadlineMs: 20_000 });
    relays.push(child);
  }
}, 60_000);
afterAll(() => lab?.[Symbol.asyncDispose]());

/** The rules of one host, and nothing left of those before. */
function rules(host: Host, text: string): void {
  const inside = ["ip", "netns", "exec", host.namespace];
  tool([...inside, "nft", "-f", "-"], `flush ruleset\n${text}\n`);
  tool([...inside, "conntrack", "-F"]);
}
beforeEach(() => {
  for (const host of [lab.nat, lab.relay, lab.visitor, lab.agent]) rules(host, "");
});

async function ask<T>(host: Host, ...args: readonly (string | number)[]): Promise<{ found: T; tookMs: number }> {
  await using child = lab.spawn(host, [...CLIENT, ...args.map(String)]);
  return await child.event("done", { deadlineMs: BEHAVIOUR_MS });
}

async function behaviour(host: Host, server: string = lab.relay.v4, port = AGENT_PORT) {
  const { found } = await ask<Result<NatBehaviour, StunFailure>>(host, "behaviour", server, port, RTO_MS);
  if (!found.ok) throw new Error(found.error.message);
  return { ...found.value, told: `${found.value.mapping}, ${found.value.filtering}` };
}

const mapped = async (host: Host, ...args: readonly (string | number)[]) =>
  (await ask<Result<StunMapped, StunFailure>>(host, "mapped", ...args)).found;

const FORWARD = `iifname "lan1" accept; ct state established,related accept; ct status dnat accept`;
const nat = (parts: { post: string; pre?: string; forward?: string; more?: string }) => `
  table inet nat {
    ${parts.more ?? ""}
    chain post { type nat hook postrouting priority srcnat; ${parts.post}; }
    chain pre { type nat hook prerouting priority dstnat; ${parts.pre ?? "accept"}; }
    chain forward { type filter hook forward priority filter; policy drop; ${parts.forward ?? FORWARD}; }
  }`;
const MASQUERADE = `oifname "wan" masquerade`;

describe("behind a NAT of nftables", () => {
  const rows: [name: string, rules: () => string, told: string][] = [
    ["masquerade", () => nat({ post: MASQUERADE }), "endpoint-independent, address-and-port-dependent"],
    [
      "masquerade with random ports",
      () => nat({ post: `oifname "wan" masquerade fully-random` }),
      "address-and-port-dependent, address-and-port-dependent",
    ],
    [
      "an address for each address outside",
      () =>
        nat({
          post: `ip daddr ${lab.relay.v4} snat ip to ${lab.nat.v4}; ip daddr ${SECOND.v4} snat ip to ${POOLED}`,
        }),
      "address-dependent, address-and-port-dependent",
    ],
    [
      "all of UDP led in (a full cone)",
      () => nat({ post: MASQUERADE, pre: `iifname "wan" meta l4proto udp dnat ip to ${lab.agent.v4}` }),
      "endpoint-independent, endpoint-independent",
    ],
    [
      "UDP led in from addresses that were talked to",
      () =>
        nat({
          more: "set talked { type ipv4_addr; flags dynamic, timeout; timeout 5m; }",
          post: MASQUERADE,
          pre: `iifname "wan" ip saddr @talked meta l4proto udp dnat ip to ${lab.agent.v4}`,
          forward: `iifname "lan1" add @talked { ip daddr }; ${FORWARD}`,
        }),
      "endpoint-independent, address-dependent",
    ],
  ];
  for (const [name, text, told] of rows) {
    test(
      name,
      async () => {
        rules(lab.nat, text());
        const found = await behaviour(lab.agent);
        expect(found.told).toBe(told);
        expect(found.mapped?.address).toBe(lab.nat.v4);
        expect(found.local?.address).toBe(lab.agent.v4);
        expect([found.mappingWhy, found.filteringWhy]).toEqual([null, null]);
        // A busy machine answers after the next request was sent: that one's answer is late.
        expect(found.ignored).toMatchObject({ unreadable: 0, unknown: 0, foreign: 0 });
      },
      BEHAVIOUR_MS,
    );
  }

  test(
    "IPv6, masqueraded",
    async () => {
      rules(lab.nat, nat({ post: MASQUERADE }));
      const found = await behaviour(lab.agent, lab.relay.v6);
      expect(found.told).toBe("endpoint-independent, address-and-port-dependent");
      expect(found.mapped?.address).toBe(lab.nat.v6);
    },
    BEHAVIOUR_MS,
  );
});

const FIREWALL = `table inet fw { chain in { type filter hook input priority filter; policy drop;
  meta l4proto icmpv6 accept; ct state established,related accept; }
}`;

describe("without a NAT", () => {
  test(
    "an open way, and one behind a firewall",
    async () => {
      expect((await behaviour(lab.visitor)).told).toBe("none, none");
      expect((await behaviour(lab.visitor, lab.relay.v6)).told).toBe("none, none");
      rules(lab.visitor, FIREWALL);
      expect((await behaviour(lab.visitor)).told).toBe("none, address-and-port-dependent");
    },
    BEHAVIOUR_MS,
  );

  test("IPv6 that is forwarded without translation", async () => {
    const routes = ["ip", "-6", "route", "replace", "fd00:77::/64", "via", lab.nat.v6];
    await lab.exec(lab.relay, routes);
    const found = await mapped(lab.agent, lab.relay.v6, AGENT_PORT);
    expect(found).toMatchObject({ ok: true, value: { mapped: { address: lab.agent.v6 } } });
  });
});

describe("what is not known is not guessed", () => {
  test(
    "a relay with one address shows a part, and says why not the rest",
    async () => {
      rules(lab.nat, nat({ post: MASQUERADE }));
      const home = await behaviour(lab.agent, lab.relay.v4, LONE_PORT);
      expect(home.told).toBe("unknown, address-and-port-dependent");
      expect(home.mappingWhy).toContain("the server has one address");
      rules(lab.nat, nat({ post: `oifname "wan" masquerade fully-random` }));
      expect((await behaviour(lab.agent, lab.relay.v4, LONE_PORT)).mapping).toBe("address-and-port-dependent");
    },
    BEHAVIOUR_MS,
  );

  test(
    "a second port that the relay's own firewall closes is not taken for a filter here",
    async () => {
      rules(lab.nat, nat({ post: MASQUERADE, pre: `iifname "wan" meta l4proto udp dnat ip to ${lab.agent.v4}` }));
      const closed = `udp dport ${AGENT_PORT + 1} drop`;
      const unsent = `udp sport ${AGENT_PORT + 1} drop`;
      rules(
        lab.relay,
        `table inet fw {
           chain in { type filter hook input priority filter; ${closed}; }
           chain out { type filter hook output priority filter; ${unsent}; }
         }`,
      );
      const found = await behaviour(lab.agent);
      expect(found.told).toBe("endpoint-independent, unknown");
      expect(found.filteringWhy).toContain("does not answer when it is asked itself");
    },
    BEHAVIOUR_MS,
  );
});

describe("failures", () => {
  test("nothing leads there", async () => {
    expect(await mapped(lab.visitor, "198.51.100.9", AGENT_PORT)).toMatchObject({ error: { kind: "unreachable" } });
  });

  test("this machine's own firewall", async () => {
    const chain = "chain out { type filter hook output priority filter; meta l4proto udp drop; }";
    rules(lab.visitor, `table inet fw {\n${chain}\n}`);
    expect(await mapped(lab.visitor, lab.relay.v4, AGENT_PORT)).toMatchObject({
      error: { kind: "unreachable", message: expect.stringContaining("firewall") },
    });
  });

  test("a relay whose UDP does not come through is silent for 3 s", async () => {
    rules(lab.nat, nat({ post: MASQUERADE, forward: "meta l4proto udp drop" }));
    const { found, tookMs } = await ask<Result<StunMapped, StunFailure>>(lab.agent, "mapped", lab.relay.v4, AGENT_PORT);
    expect(found).toMatchObject({ ok: false, error: { kind: "silent" } });
    expect(tookMs).toBeLessThan(3_500);
  });
});

describe("other clients", () => {
  const mappedBy = (output: string) => output.match(/UDP reflexive addr: ([\d.]+):\d+/)?.[1] ?? null;
  const discovery = (...flags: readonly string[]) => [
    "turnutils_natdiscovery",
    ...flags,
    "-p",
    String(AGENT_PORT),
    lab.relay.v4,
  ];

  test(
    "coturn's discovery, whose padded requests have room for the answers",
    async () => {
      rules(lab.nat, nat({ post: MASQUERADE }));
      const { stdout } = await lab.exec(lab.agent, discovery("-m", "-f", "-P"));
      expect(mappedBy(stdout)).toBe(lab.nat.v4);
      expect(stdout).toContain("NAT with Endpoint Independent Mapping!");
      expect(stdout).toContain("NAT with Address and Port Dependent Filtering!");
      expect(stdout).toContain("No ALG: Mapped == XOR-Mapped");
    },
    BEHAVIOUR_MS,
  );

  test("coturn's plain client, whose request of 20 bytes has none: its second is answered", async () => {
    // An address from which nothing has come so far.
    const own = "203.0.113.12";
    await lab.exec(lab.visitor, ["ip", "address", "add", `${own}/24`, "dev", "eth0"]);
    const plain = ["turnutils_stunclient", "-L", own, "-p", String(AGENT_PORT), lab.relay.v4];
    // It waits for ever, and sends nothing again.
    const first = await lab.exec(lab.visitor, plain, { timeoutMs: 1_000 });
    expect(mappedBy(first.stdout)).toBeNull();
    const second = await lab.exec(lab.visitor, plain, { timeoutMs: 5_000 });
    expect(mappedBy(second.stdout)).toBe(own);
  });
});

test("no more comes back than was sent: 20 bytes for nothing, and 32 for 40", async () => {
  const bare = encodeStun({ kind: "request", transactionId: "0".repeat(24), attributes: [], fingerprint: false });
  const octal = [...bare].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  const sent = async (source: string, count: number) => {
    const sends = Array.from({ length: count }, () => `printf '${octal}'; sleep 0.1`).join("; ");
    const script = `(${sends}) | socat -t1.5 - UDP4:${lab.relay.v4}:${AGENT_PORT},bind=${source} | wc -c`;
    return Number((await lab.exec(lab.visitor, ["sh", "-c", script])).stdout);
  };
  expect(await sent("203.0.113.11", 1)).toBe(0);
  expect(await sent("203.0.113.11", 1)).toBe(32);
  // 8 bytes are left: two more make 48, which one answer of 44 fills.
  expect(await sent("203.0.113.11", 2)).toBe(44);
});
