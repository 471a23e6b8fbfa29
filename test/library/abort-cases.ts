import { strict as assert } from "node:assert";
import { getEventListeners, once } from "node:events";
import { createServer, connect as dial } from "node:net";
import type * as library from "../../src/index.ts";
import { becomes, type Case, gone, HERE, kindOf, type Library, service } from "./case-kit.ts";

/** What each call opens, for a signal to close. */
type Opening = (
  relay: library.Relay,
  to: number,
  signal: AbortSignal,
) => Promise<library.TunnelSocket | { close(): Promise<void> }>;
const OPENINGS: Record<string, Opening> = {
  expose: (relay, _to, signal) => relay.expose({ ports: 80, externalPort: "any", signal }, (socket) => socket.end()),
  connect: (relay, port, signal) => relay.connect({ host: HERE, port, signal }),
  listen: (relay, to, signal) => relay.listen({ port: 0, to: `${HERE}:${to}`, signal }),
  "listen to UDP": (relay, to, signal) => relay.listen({ port: "0/udp", to: `${HERE}:${to}`, signal }),
  socks: (relay, _to, signal) => relay.socks({ port: 0, signal }),
};
const listening = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

/** One who takes connections and says nothing. */
async function silence(): Promise<{ readonly place: string; close(): Promise<void> }> {
  const server = createServer((socket) => void gone(socket.resume()));
  server.listen(0, HERE);
  await once(server, "listening");
  return {
    place: `${HERE}:${(server.address() as { port: number }).port}`,
    close: async () => void (await once(server.close(), "close")),
  };
}

export const ABORT_CASES = {
  async "each call is called off before it begins, while it goes on, and when all is open"(lib, lab) {
    const db = await service("db");
    await lab.allow(db.port);
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("called off") });
    await using relay = await lib.openRelay({ key });
    for (const [name, open] of Object.entries(OPENINGS)) {
      const reason = new Error("enough");
      const before = AbortSignal.abort(reason);
      const refused = await open(relay, db.port, before).then(null, (error: unknown) => error);
      assert.ok(refused instanceof lib.HatchwayError, name);
      assert.deepEqual([refused.kind, refused.cause], ["aborted", reason], name);

      const during = new AbortController();
      const opening = kindOf(open(relay, db.port, during.signal));
      during.abort();
      assert.equal(await opening, "aborted", name);
      assert.equal(listening(during.signal), 0, `${name} forgets the signal`);

      const after = new AbortController();
      const opened = await open(relay, db.port, after.signal);
      assert.equal(listening(after.signal), 1, name);
      after.abort();
      if ("destroyed" in opened) await gone(opened);
      else await opened.close();
      const { state = "closed" } = opened as { state?: string };
      assert.deepEqual([state, listening(after.signal)], ["closed", 0], name);
    }
    // What was closed by itself listens no more either.
    const stop = new AbortController();
    for (const open of Object.values(OPENINGS)) {
      const opened = await open(relay, db.port, stop.signal);
      if ("destroyed" in opened) await gone(opened.destroy());
      else await opened.close();
    }
    await becomes(() => listening(stop.signal), 0);
    db.close();
  },

  async "a relay that says nothing is given up when the app says so"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("silent") });
    const silent = await silence();
    const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => lib.openRelay({ key, relay: silent.place, signal }),
      (signal) => lib.expose({ key, relay: silent.place, ports: 80, signal }, (socket) => socket.end()),
      (signal) => lib.connect({ key, relay: silent.place, host: HERE, port: 80, signal }),
      (signal) => lib.listen({ key, relay: silent.place, port: 0, to: `${HERE}:80`, signal }),
      (signal) => lib.socks({ key, relay: silent.place, port: 0, signal }),
    ];
    for (const call of calls) assert.equal(await kindOf(call(AbortSignal.timeout(50))), "aborted");
    // Nothing of them is left, or the server would not close.
    await silent.close();
  },

  async "what makes no sense is said before anybody is asked, and never thrown at once"(lib, lab) {
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("nonsense") });
    const silent = await silence();
    const at = { key, relay: silent.place };
    await using relay = await lib.openRelay({ key });
    const untyped = { ...lib, relay } as unknown as Record<keyof Library, (...args: unknown[]) => Promise<unknown>> & {
      readonly relay: Record<string, (...args: unknown[]) => Promise<unknown>>;
    };
    for (const [name, ...args] of [
      ["enrol"],
      ["deviceOf"],
      ["openRelay"],
      ["openRelay", at.key],
      ["expose"],
      ["expose", { ...at, ports: "80-" }],
      ["expose", { ...at, ports: 80 }, {}],
      ["expose", { ...at, ports: "80/udp" }, () => undefined],
      ["connect"],
      ["connect", { ...at, host: "", port: 1 }],
      ["listen"],
      ["listen", { ...at, port: 0 }],
      ["socks"],
      ["socks", { ...at, port: "80-81" }],
    ] as const) {
      assert.equal(await kindOf(untyped[name](...args)), "usage", name);
    }
    for (const name of ["expose", "connect", "listen", "socks"]) {
      assert.equal(await kindOf(untyped.relay[name]?.() ?? Promise.resolve()), "usage", name);
    }
    await silent.close();
  },

  async "while the relay is away a call says so, and what is open comes back by itself"(lib, lab) {
    const db = await service("db");
    await lab.allow(db.port);
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("away") });
    await using relay = await lib.openRelay({ key });
    await using local = await relay.listen({ port: 0, to: `${HERE}:${db.port}` });
    const held = await relay.connect({ host: HERE, port: db.port });
    const lost = once(held, "error");
    const events = relay.events();
    const down = events.next();
    const restarted = lab.restart();
    try {
      assert.equal((await down).value?.type, "down");
      // What the relay says first, or that it is gone.
      assert.match(((await lost)[0] as library.HatchwayError).kind, /^(ended|lost)$/);
      for (const call of [
        () => relay.connect({ host: HERE, port: db.port }),
        () => relay.expose({ ports: 80, externalPort: "any" }, (socket) => socket.end()),
      ]) {
        // Its relay may be back by now.
        if (relay.state === "down") assert.match(await kindOf(call()), /^(lost|unreachable)$/);
      }
    } finally {
      await restarted;
    }
    if (relay.state !== "up") assert.equal((await events.next()).value?.type, "up");
    assert.equal(local.state, "open");
    const visitor = dial(local.port, HERE);
    visitor.write("hello");
    const [answer] = (await once(visitor, "data")) as [Buffer];
    assert.equal(String(answer), "db:hello");
    visitor.destroy();
    db.close();
  },
} satisfies Record<string, Case>;
