import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { RawConnection } from "../../../test/fixtures/raw-http.ts";
import { type Cidr, compileCidrs } from "../../wire/address.ts";
import { FAKE_OVERVIEW } from "./fake-data.ts";
import { API_LIMITS } from "./options.ts";

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

const SLOW = 200;
/** Bun gives a head 10 to 12 s: they begin before all other tests, and are looked at in the last. */
const slowLab = new ApiLab({}, { idleSec: 1 });
const slow: RawConnection[] = [];
beforeAll(async () => {
  const head = `GET /v1/me HTTP/1.1\r\nHost: ${HERE}:${slowLab.port}\r\nX-Slow: `;
  // After an answer, on the same connection.
  const later = new RawConnection(slowLab.port);
  const { authorization = "" } = slowLab.token("uwe", "read");
  later.write(`GET /v1/me HTTP/1.1\r\nHost: ${HERE}:${slowLab.port}\r\nAuthorization: ${authorization}\r\n\r\n`);
  await later.until("}");
  later.write(head);
  slow.push(later);
  for (let count = 0; count < SLOW; count++) {
    const connection = new RawConnection(slowLab.port);
    connection.write(head + "a".repeat(count % 7));
    slow.push(connection);
  }
});
afterAll(() => slowLab.close());

test("a question is given up when whoever asked it goes away, and that is nobody's fault", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  lab.backend.checks.askRouter = (_who, signal) => {
    asked.resolve(signal);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const page = new AbortController();
  const request = { method: "POST", headers: lab.session("ada"), signal: page.signal };
  const answer = lab.fetch("/v1/router", request).catch(({ name }: Error) => name);
  const signal = await asked.promise;
  const gone = new Promise((resolve) => signal.addEventListener("abort", resolve));
  page.abort();
  await gone;
  expect(await answer).toBe("AbortError");
  expect(lab.unexpected).toEqual([]);
});

describe("many at once", () => {
  async function held(count: number): Promise<{ statuses: number[]; release: () => void; answers: Promise<number>[] }> {
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    let inside = 0;
    lab.backend.forwards.overview = async () => {
      inside++;
      if (inside === count) arrived.resolve();
      await gate.promise;
      return FAKE_OVERVIEW;
    };
    const headers = lab.session("uwe");
    const ask = async () => (await lab.fetch("/v1/overview", { headers })).status;
    const answers = Array.from({ length: count }, ask);
    await arrived.promise;
    return { statuses: [await ask()], release: () => gate.resolve(), answers };
  }

  test("from one address are refused, and let in again when some are done", async () => {
    await lab.close();
    lab = new ApiLab({ limits: { maxPerAddress: 4 } });
    const { statuses, release, answers } = await held(4);
    release();
    expect([statuses, await Promise.all(answers)]).toEqual([[429], [200, 200, 200, 200]]);
    expect((await lab.fetch("/v1/overview", { headers: lab.session("uwe") })).status).toBe(200);
  });

  test("from several addresses behind a trusted proxy are not one", async () => {
    await lab.close();
    const trusted = compileCidrs(["127.0.0.0/8" as Cidr]);
    lab = new ApiLab({ limits: { maxPerAddress: 1 }, trustedProxies: () => trusted });
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    lab.backend.forwards.overview = async () => {
      arrived.resolve();
      await gate.promise;
      return FAKE_OVERVIEW;
    };
    const from = async (path: string, address: string) =>
      (await lab.fetch(path, { headers: { ...lab.session("uwe"), "x-forwarded-for": address } })).status;
    const first = from("/v1/overview", "203.0.113.1");
    await arrived.promise;
    const others = [await from("/v1/me", "203.0.113.1"), await from("/v1/me", "203.0.113.2")];
    gate.resolve();
    expect([others, await first]).toEqual([[429, 200], 200]);
  });

  test("1,000 are all answered", async () => {
    await lab.close();
    lab = new ApiLab({ limits: { maxPerAddress: 2_000 } });
    const headers = lab.session("uwe");
    const statuses = await Promise.all(
      Array.from({ length: 1_000 }, async () => (await lab.fetch("/v1/forwards", { headers })).status),
    );
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });
});

describe("slow senders", () => {
  test("of a body are cut off at the deadline, with a word", async () => {
    const { authorization = "" } = lab.token("uwe", "all");
    const connection = new RawConnection(lab.port);
    connection.write(
      `POST /v1/join-codes HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    await lab.timers.fire(API_LIMITS.bodyDeadlineMs);
    await connection.closed;
    expect([connection.received, lab.calls, lab.unexpected]).toEqual([
      expect.stringMatching(/^HTTP\/1\.1 408/),
      [],
      [],
    ]);
  });

  test("that go away half-way leave nothing behind", async () => {
    const { authorization = "" } = lab.token("uwe", "all");
    const connection = new RawConnection(lab.port);
    connection.write(
      `POST /v1/join-codes HTTP/1.1\r\nHost: ${HERE}:${lab.port}\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    await lab.timers.waiting(API_LIMITS.bodyDeadlineMs);
    connection.end();
    while (lab.timers.count() > 0) await lab.fetch("/v1/setup");
    expect([lab.calls, lab.unexpected]).toEqual([[], []]);
  });

  test(`of a head are cut off, ${SLOW} of them, and nobody else notices`, async () => {
    const honest = await Promise.all(Array.from({ length: 20 }, async () => (await slowLab.fetch("/v1/setup")).status));
    expect(honest.filter((status) => status !== 200)).toEqual([]);
    await Promise.all(slow.map(({ closed }) => closed));
    expect(slow.filter(({ received }) => received.startsWith("HTTP/1.1 2"))).toHaveLength(1);
  }, 20_000);
});
