import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { RawConnection } from "../../../test/fixtures/raw-http.ts";
import { createClient } from "./client.ts";
import { HEARTBEAT_MS } from "./event-stream.ts";
import { fakeForward } from "./fake-data.ts";
import { PAGE_KEY_HEADER } from "./protocol.ts";
import type { LiveEvent } from "./schema.ts";

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

const GONE: LiveEvent = { event: "forward-gone", id: "f-9" };

/** A stream of events, read as text. */
class Stream {
  readonly #reader;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(readonly response: Response) {
    if (response.body === null) throw new Error("no stream");
    this.#reader = response.body.getReader();
  }

  static async of(headers: Record<string, string>): Promise<Stream> {
    return new Stream(await lab.fetch("/v1/events", { headers }));
  }

  /** All that came, once `text` has, or the stream has ended. */
  async until(text: string): Promise<string> {
    while (!this.#text.includes(text) && (await this.more()));
    return this.#text;
  }

  /** False = it has ended. */
  async more(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    this.#text += this.#decoder.decode(value);
    return !done;
  }

  async end(): Promise<string> {
    while (await this.more());
    return this.#text;
  }

  async leave(): Promise<void> {
    await this.#reader.cancel();
  }
}

describe("events", () => {
  test("come as they happen, as the schema has them", async () => {
    const stream = await Stream.of(lab.session("uwe"));
    expect([stream.response.status, stream.response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    await lab.backend.forwards.followed(1);
    lab.backend.forwards.emit({ ...GONE, secret: "x" } as never);
    expect(await stream.until('"f-9"}\n\n')).toBe(
      ':\n\nevent: forward-gone\ndata: {"event":"forward-gone","id":"f-9"}\n\n',
    );
  });

  test("in which a name has lines are one event each", async () => {
    const stream = await Stream.of(lab.session("uwe"));
    await lab.backend.forwards.followed(1);
    const device = [...lab.backend.forwards.devices.values()][0];
    if (device === undefined) throw new Error("no device");
    lab.backend.forwards.emit({
      event: "forward",
      forward: fakeForward("f", "a\n\ndata: {}\r\nevent: x", "1", device),
    });
    lab.backend.forwards.emit(GONE);
    const text = await stream.until("f-9");
    expect(text.split("\n\n").filter((part) => part.startsWith("event: "))).toHaveLength(2);
  });

  test("have a heartbeat", async () => {
    const stream = await Stream.of(lab.session("uwe"));
    await lab.timers.fire(HEARTBEAT_MS);
    expect(await stream.until(":\n\n:\n\n")).toBe(":\n\n:\n\n");
    await lab.timers.waiting(HEARTBEAT_MS);
  });

  test("are for those who have signed in", async () => {
    for (const headers of [
      {},
      { cookie: "hatchway=guess" },
      { cookie: "hatchway=guess", [PAGE_KEY_HEADER]: "guess" },
      { accept: "text/event-stream" },
    ]) {
      expect((await lab.fetch("/v1/events", { headers })).status).toBe(401);
    }
    expect(lab.calls).toEqual([]);
  });

  const ends: readonly (readonly [name: string, end: (headers: Record<string, string>) => Promise<unknown>])[] = [
    ["signs out", (headers) => lab.fetch("/v1/session", { method: "DELETE", headers })],
    ["is removed", () => lab.fetch("/v1/users/u-uwe", { method: "DELETE", headers: lab.session("ada") })],
    ["gets another role", () => lab.send("PATCH", "/v1/users/u-uwe", lab.session("ada"), { role: "viewer" })],
    [
      "loses the session in some other way, at the heartbeat",
      async () => {
        lab.backend.access.sessions.clear();
        await lab.timers.fire(HEARTBEAT_MS);
      },
    ],
  ];
  for (const [name, end] of ends) {
    test(`end when the person ${name}`, async () => {
      const headers = lab.session("uwe");
      const stream = await Stream.of(headers);
      const others = await Stream.of(lab.token("otto", "read"));
      await lab.backend.forwards.followed(2);
      await end(headers);
      lab.backend.forwards.emit(GONE);
      if (name.includes("heartbeat")) await others.until("f-9");
      expect(await stream.end()).toBe(":\n\n");
      await lab.backend.forwards.followed(1);
    });
  }

  test("end when their token does", async () => {
    const headers = lab.token("uwe", "read");
    const stream = await Stream.of(headers);
    const [{ token } = { token: { id: "" } }] = lab.backend.access.tokens.values();
    await lab.fetch(`/v1/tokens/${token.id}`, { method: "DELETE", headers: lab.session("uwe") });
    expect(await stream.end()).toBe(":\n\n");
  });

  test("end when the server does", async () => {
    const stream = await Stream.of(lab.session("uwe"));
    await lab.backend.forwards.followed(1);
    lab.endStreams();
    expect(await stream.end()).toBe(":\n\n");
    await lab.backend.forwards.followed(0);
    expect(lab.timers.count()).toBe(0);
  });

  test("end in order when another process has the port, and later ones are to be asked for again; what else is asked is answered", async () => {
    const headers = lab.session("uwe");
    const stream = await Stream.of(headers);
    await lab.backend.forwards.followed(1);
    lab.api.endStreams();
    expect(await stream.end()).toBe(":\n\n");
    const later = await lab.fetch("/v1/events", { headers });
    expect([later.status, later.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await lab.fetch("/v1/devices", { headers })).status).toBe(200);
    await lab.backend.forwards.followed(0);
    expect(lab.timers.count()).toBe(0);
  });

  test("leave nothing behind when the client goes", async () => {
    const stream = await Stream.of(lab.session("uwe"));
    await lab.backend.forwards.followed(1);
    await stream.leave();
    await lab.backend.forwards.followed(0);
    expect([lab.timers.count(), lab.unexpected]).toEqual([0, []]);
  });

  test("that cannot be told end, and our log hears of it", async () => {
    const stream = await Stream.of(lab.session("uwe"));
    await lab.backend.forwards.followed(1);
    lab.backend.forwards.emit({ event: "forward-gone" } as never);
    expect([await stream.end(), lab.unexpected.length]).toEqual([":\n\n", 1]);
  });

  test("are few streams for one person, and others have theirs", async () => {
    await lab.close();
    lab = new ApiLab({ limits: { maxStreamsPerUser: 2 } });
    const headers = lab.session("uwe");
    const first = await Stream.of(headers);
    await Stream.of(headers);
    await lab.backend.forwards.followed(2);
    const refused = await lab.fetch("/v1/events", { headers });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "15"]);
    await Stream.of(lab.session("ada"));
    await lab.backend.forwards.followed(3);
    await first.leave();
    await lab.backend.forwards.followed(2);
    expect((await Stream.of(headers)).response.status).toBe(200);
  });

  test("asked for by HEAD begin no stream", async () => {
    const response = await lab.fetch("/v1/events", { method: "HEAD", headers: lab.session("uwe") });
    expect([response.status, response.headers.get("content-type"), lab.timers.count()]).toEqual([
      200,
      "text/event-stream",
      0,
    ]);
  });

  test("are as many as there are, for a reader that reads", async () => {
    const many = 3_000;
    lab.backend.forwards.events = async function* () {
      for (let number = 0; number < many; number++) yield { event: "forward-gone", id: `f-${number}` };
    };
    const text = await (await Stream.of(lab.session("uwe"))).end();
    expect(text.match(/"f-\d+"/g)).toHaveLength(many);
  });

  test("wait for a reader that does not read, and end at its second heartbeat without a byte taken", async () => {
    let asked = 0;
    let ended = false;
    lab.backend.forwards.events = async function* (_who, signal) {
      try {
        for (; !signal.aborted; asked++) yield { event: "forward-gone", id: "x".repeat(500) };
      } finally {
        ended = true;
      }
    };
    const { authorization = "" } = lab.token("uwe", "read");
    const connection = new RawConnection(lab.port);
    connection.write(`GET /v1/events HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\nAuthorization: ${authorization}\r\n\r\n`);
    await connection.until(":\n\n");
    connection.stall();
    // Each turn of the loop lets the stream write what it can.
    const untilFull = async () => {
      for (let before = -1; before !== asked; await lab.fetch("/v1/setup")) before = asked;
    };
    await untilFull();
    const taken = asked;
    await lab.timers.fire(HEARTBEAT_MS);
    expect([asked, ended]).toEqual([taken, false]);
    await lab.timers.fire(HEARTBEAT_MS);
    await lab.fetch("/v1/setup");
    expect([asked, ended, lab.timers.count(HEARTBEAT_MS)]).toEqual([taken + 1, true, 0]);
    connection.end();
  });
});

describe("the audit log as lines", () => {
  const asked = () => lab.calls.filter((call) => call === "forwards.listAudit").length;

  test("is whole", async () => {
    const response = await lab.fetch("/v1/audit", {
      headers: { ...lab.token("ada", "read"), accept: "application/x-ndjson" },
    });
    const lines = (await response.text()).split("\n");
    const ids = lines.slice(0, -1).map((line) => (JSON.parse(line) as { id: number }).id);
    expect([response.headers.get("content-type"), lines.at(-1), ids]).toEqual([
      "application/x-ndjson",
      "",
      Array.from({ length: 1_200 }, (_, index) => 1_200 - index),
    ]);
    expect(asked()).toBe(3);
  });

  test("is for administrators", async () => {
    for (const name of ["uwe", "vera"]) {
      const headers = { ...lab.token(name, "all"), accept: "application/x-ndjson" };
      expect((await lab.fetch("/v1/audit", { headers })).status).toBe(403);
    }
  });

  test("that fails half-way is cut short", async () => {
    const { forwards } = lab.backend;
    const listed = forwards.listAudit.bind(forwards);
    forwards.listAudit = async (who, page) => {
      if (page.cursor !== null) throw new Error("the disk is gone");
      return await listed(who, page);
    };
    const headers = { ...lab.token("ada", "read"), accept: "application/x-ndjson" };
    const outcome = await lab
      .fetch("/v1/audit", { headers })
      .then((response) => response.text())
      .then(
        () => "whole",
        () => "cut short",
      );
    expect([outcome, lab.unexpected.length]).toEqual(["cut short", 1]);
  });
});

describe("the client", () => {
  const baseUrl = () => lab.url;

  test("hears events until its signal", async () => {
    const token = lab.backend.access.token("uwe", ["read"]);
    const stop = new AbortController();
    const events: LiveEvent[] = [];
    const heard = (async () => {
      for await (const event of createClient({ baseUrl: baseUrl(), token }).events({ signal: stop.signal })) {
        events.push(event);
        if (events.length === 2) stop.abort();
      }
    })();
    await lab.backend.forwards.followed(1);
    lab.backend.forwards.emit(GONE);
    lab.backend.forwards.emit(GONE);
    await heard;
    expect(events).toEqual([GONE, GONE]);
    await lab.backend.forwards.followed(0);
  });

  test("reads the audit log", async () => {
    const token = lab.backend.access.token("ada", ["read"]);
    const ids: number[] = [];
    for await (const { id } of createClient({ baseUrl: baseUrl(), token }).auditLines()) ids.push(id);
    expect([ids.length, ids[0], ids.at(-1)]).toEqual([1_200, 1_200, 1]);
  });
});
