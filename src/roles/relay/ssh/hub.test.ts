import { describe, expect, test } from "bun:test";
import type { RemoteSpec } from "../../../core/forward.ts";
import type { HeldForward } from "../../../core/held.ts";
import { ok } from "../../../wire/result.ts";
import { Gate } from "../gate.ts";
import type { SshPrincipal } from "./authority.ts";
import type { SshClient, SshHubOptions } from "./client.ts";
import type { Following } from "./following.ts";
import { SshHub } from "./hub.ts";
import type { ClientConnection } from "./model.ts";

const LAPTOP: SshPrincipal = {
  peer: { deviceId: "laptop", name: "laptop", account: "main", version: "ssh" },
  keyFingerprint: "SHA256:key",
};

/** A hub whose relay grants whatever is asked, and tells what is done to it. */
function hubLab() {
  const did: string[] = [];
  /** Of ports, in sessions. */
  const said: string[] = [];
  const held = new Map<string, HeldForward>();
  /** Who serves which port now, by its handle. */
  const handles = new Map<number, number>();
  const forwards = {
    sessionUp: async () => void did.push("up"),
    sessionDown: () => did.push("down"),
    get: (_device: string, id: string) => held.get(id) ?? null,
    async put(_link: unknown, handle: number, spec: RemoteSpec) {
      const port = spec.ports[0]!.first || 20_000;
      held.set(spec.id, { spec: { ...spec, ports: [{ ...spec.ports[0]!, first: port }] } } as unknown as HeldForward);
      handles.set(port, handle);
      return { kind: "open", endpoints: [{ port }] };
    },
    withdraw: (_device: string, id: string) => did.push(`withdrawn ${id}`),
    entryOf: () => undefined,
    remove: async (_device: string, id: string) => held.delete(id),
  };
  const options = {
    forwards,
    dials: {},
    sockets: { closeAll: () => did.push("sockets closed"), namesOf: () => [] },
    hasAgentCalled: () => false,
    hasAgent: () => false,
    draining: () => false,
    publicHost: () => "relay",
    connected: () => undefined,
    disconnected: () => undefined,
    failed: (error: unknown) => {
      throw error;
    },
  } as unknown as SshHubOptions;
  const gate = new Gate();
  const hub = new SshHub(options, gate);
  const connection = (name: string): ClientConnection => ({
    remoteAddress: "203.0.113.7:40000",
    localAddress: "198.51.100.1",
    ends: { visitor: { address: "203.0.113.7", port: 40_000 }, entry: { address: "198.51.100.1", port: 2_222 } },
    measuredRttMs: null,
    openForwarded: (bound) => {
      did.push(`visit at ${name}: ${bound.host}:${bound.port}`);
      return "serviceRefused";
    },
    openForwardedSocket: () => "serviceRefused",
    lost: (port) => void did.push(`lost at ${name}: ${port}`),
    say: (lines) =>
      void said.push(...lines.filter((line) => line.startsWith("Port ")).map((line) => `${name}: ${line}`)),
    close: (why) => void did.push(`closed at ${name}: ${why}`),
  });
  const visit = (port: number) => {
    const place = { address: "192.0.2.9", port: 1 };
    const request = {
      kind: "forward",
      handle: handles.get(port)!,
      externalPort: port,
      visitor: place,
      entry: place,
    } as const;
    return hub.link("laptop")?.openStream(request, null);
  };
  return { hub, gate, did, said, held, connection, visit };
}

const ask = (port: number) => ({ host: "localhost", port });

describe("a device that is connected by SSH more than once", () => {
  test("has a port at the connection that asked last, and the other one is told", async () => {
    const { hub, did, said, connection, visit } = hubLab();
    const first = hub.join(LAPTOP, connection("first"));
    expect(await first.forward(ask(8_080))).toEqual(ok(8_080));
    visit(8_080);
    const second = hub.join(LAPTOP, connection("second"));
    expect(await second.forward(ask(8_080))).toEqual(ok(8_080));
    visit(8_080);
    expect(did).toEqual([
      "up",
      "visit at first: localhost:8080",
      "lost at first: 8080",
      "visit at second: localhost:8080",
    ]);
    expect(said).toEqual(["first: Port 8080 leads to a newer connection of this device now."]);
    expect(await first.cancelForward(ask(8_080))).toBe(false);
  });

  test("keeps it there when an older process names the one before", async () => {
    const { hub, did, connection, visit } = hubLab();
    const newer = hub.join(LAPTOP, connection("newer"));
    await newer.forward(ask(8_080));
    const older = hub.join(LAPTOP, connection("older"));
    expect(await older.resume({ id: "ssh-8080", port: 8_080, bindHost: "" })).toEqual(ok(8_080));
    visit(8_080);
    expect(did.slice(1)).toEqual(["lost at older: 8080", "visit at newer: localhost:8080"]);
  });
});

describe("a client that comes from the process before", () => {
  test("has its forwards by their ids, and none that was removed", async () => {
    const { hub, connection, held, visit, did } = hubLab();
    const before: SshClient = hub.join(LAPTOP, connection("before"));
    await before.forward(ask(0));
    before.closed("moved");
    const again = hub.join(LAPTOP, connection("again"));
    expect(await again.resume({ id: "ssh-any-1", port: 20_000, bindHost: "" })).toEqual(ok(20_000));
    visit(20_000);
    expect(did.at(-1)).toBe("visit at again: :20000");
    held.clear();
    expect(await again.resume({ id: "ssh-any-1", port: 20_000, bindHost: "" })).toMatchObject({ ok: false });
  });
});

describe("a process that is the relay no more", () => {
  test("brings no device up, frees the names of sockets, and introduces whoever comes late", () => {
    const { hub, did, connection } = hubLab();
    const own = hub.open(LAPTOP, connection("own"));
    const introduced: string[] = [];
    const following = {
      start: () => introduced.push("start"),
      came: ({ client }: { client: SshClient }) => introduced.push(`came ${client.device.peer.name}`),
      left: (_client: unknown, why: string) => introduced.push(`left, ${why}`),
    };
    hub.follow(following as unknown as Following);
    hub.open({ ...LAPTOP, peer: { ...LAPTOP.peer, deviceId: "phone", name: "phone" } }, connection("late"));
    own.closed("over");
    expect(introduced).toEqual(["start", "came phone", "left, over"]);
    // The sockets of one connection, and then of the one that ended.
    expect(did).toEqual(["up", "sockets closed", "sockets closed", "down"]);
  });

  test("what a client asks waits until it is clear which process is the relay", async () => {
    const { hub, gate, connection, held } = hubLab();
    const client = hub.open(LAPTOP, connection("own"));
    gate.close();
    const asked = client.forward(ask(8_080));
    await Promise.resolve();
    expect(held.size).toBe(0);
    gate.open();
    expect(await asked).toEqual(ok(8_080));
  });
});
