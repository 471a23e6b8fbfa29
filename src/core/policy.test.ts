import { describe, expect, test } from "bun:test";
import type { PortRange, PortSet, Protocol } from "../wire/port-set.ts";
import { externalSide } from "./external-ports.ts";
import { checkPolicy, type Grant, type Policy } from "./policy.ts";
import { mappings } from "./table.fixture.ts";

/** `1024-65535` for both protocols, `53/udp` for one. */
function portSet(...texts: string[]): PortSet {
  return {
    ranges: texts.map((text): PortRange => {
      const protocol = text.includes("/") ? (text.slice(text.indexOf("/") + 1) as Protocol) : null;
      const [first = 0, last = first] = text.replace(/\/.*/, "").split("-").map(Number);
      return { protocol, first, last, internalFirst: first };
    }),
  };
}

const RELAY: Policy["relay"] = {
  pool: portSet("1024-65535"),
  reserved: [{ protocol: "tcp", port: 7744, purpose: "the relay's agent port" }],
  denied: portSet("6667", "5060/udp"),
};
const UNLIMITED_GRANT: Grant = { ports: null };
const NONE = { forwards: 0, ports: 0 };

interface Case {
  readonly ports: string[];
  readonly relay?: Partial<Policy["relay"]>;
  readonly account?: Partial<Grant>;
  readonly device?: Partial<Grant>;
  readonly usage?: { forwards: number; ports: number };
}

function check({ ports, relay, account, device, usage = NONE }: Case): string {
  const policy: Policy = {
    relay: { ...RELAY, ...relay },
    account: { ...UNLIMITED_GRANT, ...account },
    device: { ...UNLIMITED_GRANT, ...device },
  };
  const outcome = checkPolicy(externalSide(mappings(...ports)), policy, { account: usage, device: usage });
  return outcome.ok ? "ok" : `${outcome.error.rule}: ${outcome.error.message}`;
}

describe("accepted", () => {
  const cases: Record<string, Case> = {
    "a port of the pool": { ports: ["8080"] },
    "a range of the pool": { ports: ["10000-10999"] },
    "the whole pool of a grant": { ports: ["8000-8010"], account: { ports: portSet("8000-8010") } },
    "the agent port's number for the other protocol": { ports: ["7744/udp"] },
    "a port denied for the other protocol": { ports: ["5060"] },
    "a pool written as touching ranges": { ports: ["90-110"], relay: { pool: portSet("80-100", "101-120") } },
    "exactly the quota": {
      ports: ["8000-8009"],
      account: { maxForwards: 3, maxPorts: 15 },
      usage: { forwards: 2, ports: 5 },
    },
    "a grant that is not suspended": { ports: ["8080"], device: { suspended: false } },
  };
  for (const [name, input] of Object.entries(cases)) test(name, () => expect(check(input)).toBe("ok"));
});

describe("refused, with what to do", () => {
  const cases: [string, Case, string][] = [
    [
      "outside the pool",
      { ports: ["80"] },
      "pool: Port 80 is outside the ports this relay hands out (1024-65535); choose one of those, or ask the relay's operator to add it to --ports.",
    ],
    [
      "a range that begins outside names the first port outside",
      { ports: ["1000-2000"] },
      "pool: Port 1000 is outside the ports this relay hands out (1024-65535); choose one of those, or ask the relay's operator to add it to --ports.",
    ],
    [
      "a range with a hole names the hole",
      { ports: ["8000-8010"], relay: { pool: portSet("8000-8004/tcp", "8006-8010/tcp", "53/udp") } },
      "pool: Port 8005/tcp is outside the tcp ports this relay hands out (8000-8004, 8006-8010); choose one of those, or ask the relay's operator to add it to --ports.",
    ],
    [
      "no port of that protocol",
      { ports: ["8000/udp"], relay: { pool: portSet("8000/tcp") } },
      "pool: Port 8000/udp is outside the udp ports this relay hands out (none); choose one of those, or ask the relay's operator to add it to --ports.",
    ],
    [
      "outside the account's grant",
      { ports: ["9000"], account: { ports: portSet("8000-8999") } },
      "pool: Port 9000 is outside the ports granted to this account (8000-8999); choose one of those, or ask the relay's operator to grant more.",
    ],
    [
      "outside the join code's grant",
      { ports: ["8500"], account: { ports: portSet("8000-8999") }, device: { ports: portSet("8000-8099") } },
      "pool: Port 8500 is outside the ports granted to this device (8000-8099); choose one of those, or come with a join code or an SSH key that has it in --ports.",
    ],
    [
      "the agent port inside a range",
      { ports: ["7000-8000"] },
      "reserved: Port 7744/tcp is the relay's agent port; choose another port.",
    ],
    [
      "denied",
      { ports: ["6660-6669"] },
      "denied: The relay's operator does not hand out port 6667/tcp; choose another port.",
    ],
    [
      "denied for udp",
      { ports: ["5060/udp"] },
      "denied: The relay's operator does not hand out port 5060/udp; choose another port.",
    ],
    [
      "a forward too many",
      { ports: ["8080"], account: { maxForwards: 1 }, usage: { forwards: 1, ports: 1 } },
      "forwardQuota: This account may have 1 forward and has 1; remove a forward, or ask the relay's operator for a larger quota.",
    ],
    [
      "ports too many",
      { ports: ["8000-8009"], device: { maxPorts: 14 }, usage: { forwards: 1, ports: 5 } },
      "portQuota: This device may hold 14 ports, has 5 and asks for 10 more; ask for fewer, remove a forward, or ask the relay's operator for a larger quota.",
    ],
    [
      "a closed account",
      { ports: ["8080"], account: { suspended: true } },
      "suspended: The relay's operator has closed the ports of this account; ask them to open it again.",
    ],
    [
      "a closed device",
      { ports: ["8080"], device: { suspended: true } },
      "suspended: The relay's operator has closed the ports of this device; ask them to open it again.",
    ],
  ];
  for (const [name, input, expected] of cases) test(name, () => expect(check(input)).toBe(expected));
});
