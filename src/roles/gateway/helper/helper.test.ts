import { describe, expect, test } from "bun:test";
import { FakeNatPlane } from "../../../dataplanes/nat/fake.ts";
import type { NatEntry, NatSettings } from "../../../dataplanes/nat/state.ts";
import type { NatVisit, NatVisitName } from "../../../dataplanes/nat/visits.ts";
import type { VpnInterface, VpnState } from "../../../dataplanes/nat/wireguard/state.ts";
import { type Cidr, parseCidr } from "../../../wire/address.ts";
import { ok } from "../../../wire/result.ts";
import { parseKey } from "../../../wire/wireguard/key.ts";
import { HelperClient, helperKernel } from "./client.ts";
import { type GatewayKernel, guarded } from "./kernel.ts";
import { type HelperSocket, serveHelper } from "./serve.ts";

function must<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
const cidr = (text: string): Cidr => must(parseCidr(text));
const KEY = must(parseKey("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="));

const SETTINGS: NatSettings = {
  wan: ["eth0"],
  lan: ["br0"],
  vpn: { interface: "wg0", listenPort: 51820 },
  externalAddresses: ["203.0.113.1"],
  insideOnly: { tcp: [40_000], udp: [1900, 5351] },
  masquerade: true,
  snatPorts: { first: 52_000, last: 64_000 },
  dropUnforwarded: true,
  vpnClientsMayMeet: false,
  sources: { allow: [], deny: [cidr("198.51.100.0/24")] },
  limits: { connectionsPerSource: 10, newPerSourcePerSec: 5 },
  triggers: [],
};
const FORWARD: NatEntry = {
  kind: "forward",
  id: "a",
  protocol: "tcp",
  first: 80,
  last: 80,
  to: "192.168.1.7",
  internalFirst: 8080,
  allow: [{ network: cidr("203.0.113.0/24"), port: 9 }],
  deny: [],
  limits: null,
};
const PINHOLE: NatEntry = {
  kind: "pinhole",
  id: "b",
  protocol: "udp",
  first: 1,
  last: 65_535,
  to: "2001:db8::7",
  allow: [],
  deny: [],
  limits: { connectionsPerSource: null, newPerSourcePerSec: 3 },
};

const NAME: NatVisitName = {
  protocol: "tcp",
  visitor: { address: "198.51.100.7", port: 40_001 },
  entry: { address: "203.0.113.1", port: 80 },
  id: 2_955_267_097,
};
const VISIT: NatVisit = { ...NAME, entryId: "a", openedMs: 1_795_916_546_000, bytesIn: 170, bytesOut: null };

/** Two ends of a socket in this process. */
function pair(): [HelperSocket, HelperSocket, () => void] {
  const encoder = new TextEncoder();
  const end = () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    // Who writes to an end that is closed is not told, as with a socket.
    const push = (line: string) => void writer.write(encoder.encode(line)).catch(() => undefined);
    return { input: readable, push, close: () => void writer.close().catch(() => undefined) };
  };
  const [a, b] = [end(), end()];
  const close = () => {
    a.close();
    b.close();
  };
  return [{ input: a.input, write: b.push }, { input: b.input, write: a.push }, close];
}

function lab() {
  const plane = new FakeNatPlane();
  const applied: VpnState[] = [];
  const vpn: VpnInterface = {
    async apply(state) {
      applied.push(state);
      return ok({ backend: "kernel", publicKey: KEY, warnings: [] });
    },
    status: async () => ok({ up: true, peers: [] }),
    close: async () => ok(null),
  };
  const closed: boolean[] = [];
  const ended: NatVisitName[] = [];
  const kernel: GatewayKernel = {
    plane,
    vpn,
    forward: async (wan) => (wan.includes("eth9") ? "There is no eth9." : null),
    firewalls: async () => [{ manager: "ufw", why: "It drops.", remedy: ["ufw route allow"] }],
    openFlows: async () => new Map([["tcp 80 192.168.1.7", 2]]),
    visits: async () => [VISIT],
    endVisit: async (name) => {
      ended.push(name);
      return ended.length === 1;
    },
    close: async ({ clean }) => void closed.push(clean),
  };
  const [ours, theirs, close] = pair();
  const served = serveHelper(theirs, kernel);
  const client = new HelperClient(ours);
  return { plane, applied, closed, ended, remote: helperKernel(client), client, write: ours.write, close, served };
}

describe("the gateway's end is a kernel like the one behind it", () => {
  test("state goes over whole, answers come back", async () => {
    const { plane, remote, applied, closed, ended } = lab();
    expect(await remote.plane.replace(SETTINGS, [FORWARD])).toEqual(ok(null));
    expect(await remote.plane.change({ put: [PINHOLE], remove: ["a"] })).toEqual(ok(null));
    expect([plane.settings, [...plane.entries.values()]]).toEqual([SETTINGS, [PINHOLE]]);
    expect([...(await remote.plane.usage()).keys()]).toEqual(["b"]);
    expect(await remote.plane.drops()).toEqual(plane.dropped);
    plane.failure = { kind: "permission", message: "No." };
    expect(await remote.plane.change({ put: [], remove: [] })).toEqual({ ok: false, error: plane.failure });
    const state: VpnState = {
      interface: "wg0",
      listenPort: 51820,
      mtu: 1420,
      addresses: [{ address: "10.77.0.1", prefix: 24 }],
      peers: [{ publicKey: KEY, presharedKey: null, addresses: ["10.77.0.2"], lastEndpoint: null }],
    };
    expect(await remote.vpn.apply(state)).toMatchObject({ ok: true, value: { backend: "kernel" } });
    expect(applied).toEqual([state]);
    expect(await remote.openFlows()).toEqual(new Map([["tcp 80 192.168.1.7", 2]]));
    expect(await remote.visits()).toEqual([VISIT]);
    expect([await remote.endVisit(VISIT), await remote.endVisit(NAME), ended]).toEqual([true, false, [NAME, NAME]]);
    expect(await remote.forward(["eth9"])).toBe("There is no eth9.");
    await remote.close({ clean: true });
    expect(closed).toEqual([true]);
  });

  test("20,000 mappings go over in one line", async () => {
    const { plane, remote } = lab();
    const entries = Array.from(
      { length: 20_000 },
      (_, at): NatEntry => ({ ...FORWARD, id: `m${at}`, first: at + 1, last: at + 1 }),
    );
    expect(await remote.plane.replace(SETTINGS, entries)).toEqual(ok(null));
    expect(plane.entries.size).toBe(20_000);
  });

  test("a call fails when the helper is gone, those under way too", async () => {
    const { remote, close, client } = lab();
    const calling = remote.plane.usage();
    close();
    await client.ended;
    await expect(Promise.all([calling, remote.plane.usage()])).rejects.toThrow("privileged helper ended");
  });
});

test("an answer that cannot be read is the helper's end, and whoever waits is told", async () => {
  const [ours, theirs] = pair();
  const client = new HelperClient(ours);
  const calling = client.call("usage", {});
  theirs.write('{"id":"none"}\n');
  await client.ended;
  await expect(calling).rejects.toThrow("privileged helper ended");
});

describe("a forward leads to another host", () => {
  test.each([
    ["this machine's own address", "192.168.1.1", false],
    ["loopback", "127.0.0.1", false],
    ["a cloud's metadata", "169.254.169.254", false],
    ["a group", "224.0.0.1", false],
    ["a client", "192.168.1.7", true],
  ])("%s", async (_, to, allowed) => {
    const plane = new FakeNatPlane();
    const wall = guarded(plane, () => new Set(["192.168.1.1"]));
    await wall.replace(SETTINGS, []);
    expect((await wall.change({ put: [{ ...FORWARD, to }], remove: [] })).ok).toBe(allowed);
    expect((await wall.replace(SETTINGS, [{ ...FORWARD, to }])).ok).toBe(allowed);
    expect(plane.entries.size).toBe(allowed ? 1 : 0);
  });
});

describe("the helper takes nothing that is not desired state", () => {
  const put = (change: object) => ({ call: "change", input: { put: [{ ...FORWARD, ...change }], remove: [] } });
  const cut = (change: object) => ({ call: "endVisit", input: { ...NAME, ...change } });
  const set = (change: object) => ({ call: "replace", input: { settings: { ...SETTINGS, ...change }, entries: [] } });
  test.each([
    ["rule text in an address", put({ to: "192.168.1.7 ; flush ruleset" })],
    ["an IPv6 target of a forward", put({ to: "2001:db8::1" })],
    ["a port that is none", put({ first: 0 })],
    ["a range that ends before it begins", put({ first: 90, last: 80 })],
    ["a range beyond the last port", put({ first: 1, last: 65_535, internalFirst: 2 })],
    ["a protocol that is none", put({ protocol: "icmp" })],
    ["rule text in a network", put({ deny: ["0.0.0.0/0 accept"] })],
    ["rule text in an interface's name", set({ wan: ['eth0" accept; #'] })],
    ["no WAN", set({ wan: [] })],
    [
      "a default route for a peer",
      {
        call: "vpnApply",
        input: {
          state: {
            interface: "wg0",
            listenPort: 1,
            mtu: 1420,
            addresses: [{ address: "10.0.0.1", prefix: 24 }],
            peers: [{ publicKey: KEY, presharedKey: null, addresses: ["0.0.0.0"], lastEndpoint: null }],
          },
        },
      },
    ],
    ["words of conntrack's in a visitor's address", cut({ visitor: { address: "-F", port: 1 } })],
    ["a visit from a port that is none", cut({ visitor: { address: "198.51.100.7", port: 0 } })],
    ["a visit without its number", cut({ id: undefined })],
    ["a call that there is none of", { call: "exec", input: {} }],
  ])("%s", async (_, { call, input }) => {
    const { client, plane, applied, ended } = lab();
    await expect(client.call(call as "change", input as never)).rejects.toThrow(
      /privileged helper (refuses|knows no such request)/,
    );
    expect([plane.entries.size, plane.settings, applied, ended]).toEqual([0, null, [], []]);
  });

  test("what is no request at all gets no answer, and costs nobody else's", async () => {
    const { write, remote } = lab();
    write('{"id":"1","call":"exec","input":"rm -rf /"}\n[]\n"x"\n');
    expect(await remote.plane.drops()).toMatchObject({ unforwarded: 0 });
  });
});
