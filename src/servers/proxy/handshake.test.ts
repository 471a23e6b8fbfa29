import { describe, expect, test } from "bun:test";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import { Descriptors } from "../../dataplanes/io/descriptors.ts";
import type { ByteEnd, Exit } from "../../dataplanes/io/ends.ts";
import { EntryHost } from "../../dataplanes/io/entry.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import type { Sweepable, Sweeper } from "../../dataplanes/io/sweeper.ts";
import { Turnstile } from "../../dataplanes/io/turnstile.ts";
import { UdpOutbox } from "../../dataplanes/io/udp-outbox.ts";
import { encodeConnectRequest } from "../../wire/http-connect.ts";
import type { Result } from "../../wire/result.ts";
import { encodeSocks5Greeting, encodeSocks5Request, encodeSocksCredentials } from "../../wire/socks.ts";
import { Clients } from "./clients.ts";
import { Guesses } from "./guesses.ts";
import { shakeHands } from "./handshake.ts";

const CREDENTIALS = { username: "ann", password: "s3cret" };
const HERE = "127.0.0.1";
const ELSEWHERE = "192.0.2.7";
const TO = { host: "192.0.2.1", port: 80 };
const must = <T>(result: Result<T, unknown>): T => {
  if (!result.ok) throw new Error("not encodable");
  return result.value;
};

/** An end without a network that writes down what is asked of it. */
function silentEnd() {
  const calls: string[] = [];
  const end: ByteEnd = {
    sink: SILENT_SINK,
    write: (bytes) => {
      calls.push(Buffer.from(bytes).toString("latin1"));
      return 0;
    },
    backlog: () => undefined,
    end: () => void calls.push("(end)"),
    reset: (reason) => {
      calls.push(`(reset ${reason})`);
      end.sink.onClose(reason);
    },
  };
  return { end, calls };
}

function proxyLab() {
  let nowMs = 1_000_000;
  const items = new Set<Sweepable>();
  const sweeper: Sweeper = {
    turnstile: new Turnstile(),
    outbox: new UdpOutbox(),
    descriptors: new Descriptors(),
    nowMs: () => nowMs,
    add: (item) => void items.add(item),
    remove: (item) => void items.delete(item),
  };
  const dialled: ReturnType<typeof silentEnd>[] = [];
  const exit: Exit = {
    connect: () => {
      const service = silentEnd();
      dialled.push(service);
      return service.end;
    },
    openFlow: () => {
      throw new Error("no flow was expected");
    },
  };
  let left = 0;
  const admission = { admit: () => null, admitMore: () => true, leave: () => void left++ };
  const host = new EntryHost({ bind: HERE, ports: [], options: DEFAULT_OPTIONS, admission, sweeper }, exit);
  const context = { host, clients: new Clients(sweeper), guesses: new Guesses(), credentials: () => CREDENTIALS };
  return {
    dialled,
    host,
    left: () => left,
    /** A client that sends `bytes` at once; answers what it hears. */
    client: (address: string, bytes: Uint8Array) => {
      const { end, calls } = silentEnd();
      const visit = { visitor: { address, port: 5000 }, entry: { address: HERE, port: 1080 }, externalPort: 1080 };
      shakeHands(context, end, visit, admission);
      end.sink.onData(bytes);
      return { end, calls };
    },
    pass: (ms: number) => {
      nowMs += ms;
      for (const item of items) item.sweep(nowMs);
    },
  };
}

const socks = (username: string, password: string) =>
  Buffer.concat([
    encodeSocks5Greeting([2]),
    must(encodeSocksCredentials({ username, password })),
    must(encodeSocks5Request({ version: 5, command: "connect", destination: TO })),
  ]);
const http = (username: string, password: string) =>
  must(encodeConnectRequest({ target: TO, authorization: { kind: "basic", username, password } }));

describe.each([
  ["SOCKS 5", socks, "\x05\x02\x01\x01"],
  ["HTTP CONNECT", http, "HTTP/1.1 407"],
] as const)("wrong credentials over %s", (_name, ask, denial) => {
  test.each([
    ["a wrong password", "ann", "guess"],
    ["an unknown user", "bob", "s3cret"],
    ["nothing right", "bob", ""],
  ])("(%s) are answered later each time, 10 s at most", (_what, username, password) => {
    const lab = proxyLab();
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      const { calls } = lab.client(HERE, ask(username, password));
      lab.pass(waitMs - 1);
      expect(calls).toEqual([]);
      lab.pass(1);
      expect(calls[0]).toStartWith(denial);
      expect(calls[1]).toBe("(end)");
    }
    expect(lab.dialled).toEqual([]);
    expect(lab.host.visits.counters.refused()).toEqual({ policy: 6 });
    expect(lab.left()).toBe(6);
  });

  test("hold up right ones of the same address for 10 s at most, and no other address", () => {
    const lab = proxyLab();
    for (let n = 0; n < 20; n++) lab.client(HERE, ask("ann", `guess ${n}`));
    const honest = lab.client(HERE, ask("ann", "s3cret"));
    lab.client(ELSEWHERE, ask("ann", "s3cret"));
    expect(lab.dialled).toHaveLength(1);
    lab.pass(9_999);
    expect(lab.dialled).toHaveLength(1);
    honest.end.sink.onData(new TextEncoder().encode("early"));
    lab.pass(1);
    expect(lab.dialled).toHaveLength(2);
    expect(lab.dialled[1]?.calls.join("")).toContain("early");
    lab.client(HERE, ask("ann", "s3cret"));
    expect(lab.dialled).toHaveLength(3);
  });

  test("that come side by side are not told from right ones by the answer", () => {
    const lab = proxyLab();
    const guesses = Array.from({ length: 100 }, (_, n) => lab.client(HERE, ask("ann", `guess ${n}`)));
    const right = lab.client(HERE, ask("ann", "s3cret"));
    expect(guesses.filter(({ calls }) => calls.includes("(reset rateLimit)"))).toHaveLength(68);
    expect(right.calls).toEqual(["(reset rateLimit)"]);
    expect(lab.dialled).toEqual([]);
    lab.pass(10_000);
    lab.client(HERE, ask("ann", "s3cret"));
    expect(lab.dialled).toHaveLength(1);
  });
});

test("no credentials are no guess: they are asked for at once", () => {
  const lab = proxyLab();
  const none = must(encodeConnectRequest({ target: TO, authorization: { kind: "none" } }));
  for (let n = 0; n < 3; n++) expect(lab.client(HERE, none).calls[0]).toStartWith("HTTP/1.1 407");
  lab.client(HERE, http("ann", "s3cret"));
  expect(lab.dialled).toHaveLength(1);
});

test("a client that leaves or is silent while its answer is held back gives its place up", () => {
  const lab = proxyLab();
  for (let n = 0; n < 40; n++) lab.client(HERE, socks("ann", "guess")).end.sink.onClose("reset");
  const held = lab.client(HERE, socks("ann", "s3cret"));
  held.end.sink.onEnd();
  lab.pass(10_000);
  expect(lab.dialled[0]?.calls).toContain("(end)");
});

test("after right credentials the time to ask begins anew", () => {
  const lab = proxyLab();
  lab.client(HERE, socks("ann", "guess"));
  const request = must(encodeSocks5Request({ version: 5, command: "connect", destination: TO }));
  const { end, calls } = lab.client(HERE, socks("ann", "s3cret").subarray(0, -request.length));
  lab.pass(1_000);
  expect(calls).toEqual(["\x05\x02\x01\x00"]);
  lab.pass(9_999);
  end.sink.onData(request);
  expect(lab.dialled).toHaveLength(1);
  const slow = lab.client(HERE, encodeSocks5Greeting([2]));
  lab.pass(10_000);
  expect(slow.calls.at(-1)).toBe("(reset idle)");
});
