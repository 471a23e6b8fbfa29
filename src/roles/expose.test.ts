import { describe, expect, test } from "bun:test";
import type { Verdict } from "../core/router/verdict.ts";
import { parsePortSet } from "../wire/port-set.ts";
import { mapSpec } from "./config/map.ts";
import { exposeSpec } from "./config/specs.ts";
import type {
  AgentControl,
  AttachEvent,
  CheckReport,
  ExposeEvent,
  ForwardSpec,
  UpstreamForwardSpec,
} from "./control.ts";
import { ControlError } from "./control.ts";
import { chooseWay } from "./expose.ts";

const ports = must(parsePortSet("8000:80"));
const upstream: UpstreamForwardSpec = must(mapSpec({ ports }));
const remote = must(exposeSpec({ ports }));

function must<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const OPEN: Pick<CheckReport, "state" | "hop" | "rule" | "sentence"> = {
  state: "open",
  hop: "none",
  rule: "open",
  sentence: "It takes connections from outside.",
};
const SHUT = { state: "filtered", hop: "isp", rule: "x", sentence: "Your provider blocks it." } as const;

interface World {
  readonly verdict?: Pick<Verdict, "kind" | "sure">;
  readonly check?: typeof OPEN | typeof SHUT | ControlError;
  readonly link?: "up" | "down";
  readonly vpn?: string | null;
  /** Of the router, after it opened the port. */
  readonly later?: readonly AttachEvent[];
  readonly refuses?: string;
}

/** What is told until the ports are open, and what was asked of whom. */
async function choose(world: World, given: UpstreamForwardSpec | string = upstream) {
  const asked: { checks: unknown[]; attached: ForwardSpec[]; left: string[] } = { checks: [], attached: [], left: [] };
  const agent: Pick<AgentControl, "attach" | "check" | "status"> = {
    async *attach(specs): AsyncGenerator<AttachEvent> {
      const [spec = remote] = specs;
      asked.attached.push(spec);
      try {
        const about = { v: 1, id: spec.kind, name: spec.kind } as const;
        if (spec.kind === "upstream" && world.refuses !== undefined) {
          yield { event: "refused", ...about, kind: "unreachable", message: world.refuses };
          return;
        }
        const host = spec.kind === "upstream" ? "203.0.113.9" : "relay.example";
        const endpoint = { protocol: "tcp", host, port: 8000, lastPort: 8000 } as const;
        const endpoints = [{ ...endpoint, internalHost: "192.168.1.20", internalPort: 80 }];
        yield { event: "down", v: 1, message: "The relay is away.", retryInMs: null };
        yield {
          event: "exposed",
          ...about,
          type: spec.kind === "upstream" ? "upstream" : "remote",
          via: "x",
          endpoints,
        };
        if (spec.kind === "upstream") yield* world.later ?? [];
      } finally {
        asked.left.push(spec.kind);
      }
    },
    check: async (request) => {
      asked.checks.push(request);
      const { check = OPEN } = world;
      if (check instanceof ControlError) throw check;
      return check as CheckReport;
    },
    status: async () => ({ link: world.link ?? "up", message: "The relay is away." }) as never,
  };
  const means = {
    inspectRouter: async () => ({ verdict: world.verdict ?? { kind: "open-internet", sure: true } }) as never,
    findVpnGateway: async () => world.vpn ?? null,
  };
  const options = { upstream: given, remote, agent: agent as AgentControl, stunServer: null };
  const told: ExposeEvent[] = [];
  for await (const event of chooseWay(options, means, new AbortController().signal)) told.push(event);
  const ways = told.flatMap((event) => {
    if (event.event === "way") return event.state === "trying" ? [] : [`${event.state} ${event.via}: ${event.message}`];
    return [event.event === "exposed" ? `exposed ${event.id}` : event.event];
  });
  return { ways, ...asked };
}

const BY_RELAY = ["taken relay: Visitors come in by the relay instead.", "down", "exposed remote"];

describe("the way that is taken", () => {
  test.each<[string, World, readonly string[]]>([
    ["the router, which is proven", {}, [`taken router: ${OPEN.sentence}`, "exposed upstream"]],
    [
      "CGNAT: nothing is asked of the router",
      { verdict: { kind: "cgnat", sure: true } },
      [expect.stringMatching(/^left router: CGNAT: /), ...BY_RELAY],
    ],
    ["the router refuses", { refuses: "It says no." }, ["left router: It says no.", ...BY_RELAY]],
    ["nobody gets in", { check: SHUT }, [`left router: ${SHUT.sentence}`, ...BY_RELAY]],
    [
      "the relay does not look at that address",
      { check: new ControlError("refused", "That is not your address.") },
      ["left router: That is not your address.", ...BY_RELAY],
    ],
    [
      "the relay is away: better the router, unproven, than nothing",
      { check: new ControlError("unreachable", "No relay."), link: "down" },
      ["taken router: Nobody outside could look whether it is reached: The relay is away.", "exposed upstream"],
    ],
    [
      "a router that refuses later",
      {
        later: [
          { event: "refused", v: 1, id: "upstream", name: "", kind: "conflict", message: "It is another's now." },
        ],
      },
      [`taken router: ${OPEN.sentence}`, "exposed upstream", "left router: It is another's now.", ...BY_RELAY],
    ],
    [
      "the link to the relay is nothing to visitors of the router; that it lost the port is",
      {
        later: [
          { event: "up", v: 1, rttMs: 1 },
          { event: "lost", v: 1, id: "upstream", name: "", message: "It forgot." },
        ],
      },
      [`taken router: ${OPEN.sentence}`, "exposed upstream", "lost"],
    ],
    [
      "a tunnel whose gateway nobody knows",
      { verdict: { kind: "vpn", sure: true } },
      [expect.stringMatching(/^left vpn: .* cannot be guessed\.$/), ...BY_RELAY],
    ],
  ])("%s", async (_name, world, expected) => {
    expect((await choose(world)).ways).toEqual([...expected]);
  });

  test("what the relay alone can do is not tried elsewhere", async () => {
    const { ways, attached } = await choose({}, "A router has no limits.");
    expect(ways).toEqual(["left router: A router has no limits.", ...BY_RELAY]);
    expect(attached).toEqual([remote]);
  });

  test("in a VPN its gateway is asked", async () => {
    const { ways, attached } = await choose({ verdict: { kind: "vpn", sure: true }, vpn: "10.2.0.1" });
    expect(ways).toEqual([`taken vpn: ${OPEN.sentence}`, "exposed upstream"]);
    expect(attached).toMatchObject([{ upstream: { gateway: "10.2.0.1" } }]);
  });
});

test("the check is of the router's own address, and knows where the service is", async () => {
  const { checks } = await choose({});
  expect(checks).toEqual([
    {
      target: { kind: "port", host: "203.0.113.9", port: 8000, protocol: "tcp" },
      payload: null,
      service: { host: "192.168.1.20", port: 80 },
    },
  ]);
});

test("what is not proven is given back before the relay is asked", async () => {
  const { attached, left } = await choose({ check: SHUT });
  expect(attached.map(({ kind }) => kind)).toEqual(["upstream", "remote"]);
  expect(left).toEqual(["upstream", "remote"]);
});
