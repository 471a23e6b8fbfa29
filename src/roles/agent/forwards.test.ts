import { describe, expect, test } from "bun:test";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { local, mapping, remote } from "../../../test/fixtures/roles-lab.ts";
import { ask, tcpService } from "../../../test/fixtures/services.ts";
import { Dials } from "../../dataplanes/direct/dial.ts";
import { ALLOWS_ALL } from "../../dataplanes/direct/exit.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import type { ByteEnd } from "../../dataplanes/io/ends.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { ControlMessage, ControlOf, ResultOutcome } from "../../wire/tunnel/control.ts";
import { countersOfAll } from "./counters.ts";
import { AgentForwards } from "./forwards.ts";
import { forwardInfo } from "./info.ts";
import { Requests } from "./requests.ts";

/** An agent's forwards, and a relay that answers when and what the test says. */
function forwardsLab() {
  const abort = new AbortController();
  const sweeper = startSweeper(abort.signal);
  const dials = new Dials(sweeper);
  const asked: ControlMessage[] = [];
  const session = { isClosed: false, send: (message: ControlMessage) => asked.push(message) };
  const forwards = new AgentForwards({
    plane: { sweeper, dials, resolver: systemResolver(), allows: ALLOWS_ALL, session: () => null },
    random: () => 0,
    allowsAssigned: ALLOWS_ALL,
    openUpstream: () => {
      throw new Error("no router here");
    },
    onChange: () => undefined,
  });
  const requests = new Requests(session as unknown as Session);
  const puts = () => asked.filter((message): message is ControlOf<"put"> => message.t === "put");
  return {
    forwards,
    requests,
    asked,
    puts,
    async connect() {
      const up = forwards.linkUp(requests, []);
      answer(
        asked.find((message) => message.t === "sync"),
        { kind: "done" },
      );
      await up;
    },
    answer,
    state: (id: string) => {
      const held = forwards.get(id);
      if (held === undefined) return undefined;
      return forwardInfo(held, {
        visitorsTotal: 0,
        visitorsOpen: 0,
        bytesIn: 0,
        bytesOut: 0,
        refused: {},
        datagramsDropped: 0,
        answerMs: null,
      }).state;
    },
    [Symbol.dispose]() {
      void forwards.close();
      dials.close();
      abort.abort();
    },
  };

  function answer(question: ControlMessage | undefined, outcome: ResultOutcome): void {
    if (question === undefined || !("rid" in question)) throw new Error("nothing was asked");
    requests.answered({ t: "result", rid: question.rid, outcome });
  }
}

function open(port: number, internalPort = 80): ResultOutcome {
  return { kind: "open", endpoints: [{ protocol: "tcp", host: "r", port, lastPort: port, internalPort }] };
}

const REFUSED: ResultOutcome = { kind: "refused", why: "conflict", message: "Taken." };

/** The status that an HTTP CONNECT proxy answers with. */
async function proxyStatus(port: number, password: string): Promise<string> {
  const answer = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, bytes) =>
        answer.resolve(bytes.toString("latin1").slice("HTTP/1.1 ".length, "HTTP/1.1 200".length)),
      close: () => answer.resolve("closed"),
    },
  });
  const token = Buffer.from(`ann:${password}`).toString("base64");
  socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nProxy-Authorization: Basic ${token}\r\n\r\n`);
  const status = await answer.promise;
  socket.terminate();
  return status;
}

describe("an agent's forwards", () => {
  test("ask for the password that was set last", async () => {
    using lab = forwardsLab();
    const [port] = await freePorts(1);
    const proxy = (password: string) =>
      local("socks", {
        type: "dynamic",
        via: { kind: "relay" },
        to: null,
        ports: [mapping("tcp", port!)],
        credentials: { username: "ann", password },
      });
    await lab.forwards.put(proxy("old"), "config", false);
    // 502: the password was right, and there is no relay in this test.
    expect(await proxyStatus(port!, "old")).toBe("502");
    await lab.forwards.put(proxy("new"), "config", false);
    expect(await proxyStatus(port!, "new")).toBe("502");
    expect(await proxyStatus(port!, "old")).toBe("407");
  });

  test("go by the answer to the latest question, whichever comes first", async () => {
    using lab = forwardsLab();
    await lab.connect();
    const first = lab.forwards.put(remote("web", [mapping("tcp", 8000, 8000, 80)]), "cli", false);
    const second = lab.forwards.put(remote("web", [mapping("tcp", 9000, 9000, 80)]), "cli", false);
    const [one, two] = lab.puts();
    // What is refused is refused at once; what is open is on the relay's disk first.
    lab.answer(two, REFUSED);
    lab.answer(one, open(8000));
    await Promise.all([first, second]);
    expect(lab.state("web")).toBe("refused");
  });

  test("get a number that no forward had a moment ago", async () => {
    using lab = forwardsLab();
    await lab.connect();
    const put = async (id: string) => {
      const done = lab.forwards.put(remote(id, [mapping("tcp", 8000)]), "cli", false);
      lab.answer(lab.puts().at(-1), open(8000));
      await done;
    };
    await put("a");
    lab.forwards.remove("a");
    await put("b");
    const [a, b] = lab.puts();
    expect(b?.handle).not.toBe(a?.handle);
    const refused: ReasonName[] = [];
    const late = { reset: (reason: ReasonName) => refused.push(reason) } as unknown as ByteEnd;
    const visitor = { address: "192.0.2.1", port: 1 };
    lab.forwards.onStream(
      { kind: "forward", handle: a?.handle ?? 0, externalPort: 8000, visitor, entry: visitor },
      late,
    );
    expect(refused).toEqual(["noForward"]);
  });

  test("are asked for again when they were refused, unless a command attached them", async () => {
    using lab = forwardsLab();
    await lab.connect();
    const both = [
      lab.forwards.put(remote("web", [mapping("tcp", 8000)]), "config", false),
      lab.forwards.put(remote("attached", [mapping("tcp", 8000)]), "cli", true),
    ];
    for (const question of lab.puts()) lab.answer(question, REFUSED);
    await Promise.all(both);
    const again = lab.forwards.retryRefused();
    expect(
      lab
        .puts()
        .slice(2)
        .map(({ spec }) => spec.id),
    ).toEqual(["web"]);
    lab.answer(lab.puts()[2], open(8000));
    await again;
    expect(lab.state("web")).toBe("open");
    await lab.forwards.retryRefused();
    expect(lab.puts()).toHaveLength(3);
  });

  test("whose port here was taken open when it is free", async () => {
    using lab = forwardsLab();
    using service = tcpService("web");
    const [port] = await freePorts(1);
    const taken = Bun.listen({ hostname: "127.0.0.1", port: port!, socket: { data: () => undefined } });
    const spec = local("own", {
      type: "direct",
      via: { kind: "here" },
      ports: [mapping("tcp", port!, port!, service.port)],
    });
    await lab.forwards.put(spec, "config", false);
    expect(lab.state("own")).toBe("refused");
    taken.stop(true);
    await lab.forwards.retryRefused();
    expect(lab.state("own")).toBe("open");
    expect(await ask(port!)).toBe("web:hello");
  });

  test("that change from here to there leave nothing open here", async () => {
    using lab = forwardsLab();
    await lab.connect();
    const [port] = await freePorts(1);
    await lab.forwards.put(
      local("x", { type: "direct", via: { kind: "here" }, ports: [mapping("tcp", port!)] }),
      "cli",
      false,
    );
    const moved = lab.forwards.put(remote("x", [mapping("tcp", 8000)]), "cli", false);
    lab.answer(lab.puts()[0], open(8000));
    await moved;
    expect(await ask(port!)).toBe("ECONNREFUSED");
    expect(lab.state("x")).toBe("open");
  });

  test("wait when the link breaks, and so do those who asked", async () => {
    using lab = forwardsLab();
    await lab.connect();
    const put = lab.forwards.put(remote("web", [mapping("tcp", 8000)]), "cli", false);
    lab.forwards.linkDown();
    await put;
    expect(lab.state("web")).toBe("waiting");
    // An answer that comes late belongs to a session that is over.
    lab.answer(lab.puts()[0], open(8000));
    expect(lab.state("web")).toBe("waiting");
  });

  test("are counted without the relay when it does not answer", async () => {
    using lab = forwardsLab();
    await lab.connect();
    const put = lab.forwards.put(remote("web", [mapping("tcp", 8000)]), "cli", false);
    lab.answer(lab.puts()[0], open(8000));
    await put;
    const counted = await countersOfAll({ requests: () => lab.requests }, [...lab.forwards.list()]);
    expect(counted.get("web")).toMatchObject({ visitorsTotal: 0, refused: {} });
  });
});
