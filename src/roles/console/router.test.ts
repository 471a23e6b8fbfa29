import { describe, expect, test } from "bun:test";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import { RouterReport } from "../../servers/api/schema.ts";
import type { RouterReport as Inspected } from "../control.ts";
import { ASK_ROUTER_MS, routerAsker } from "./router.ts";

const FOUND: Inspected = {
  v: 1,
  routers: [{ family: 4, address: "192.168.1.1", interfaceName: "eth0", ownAddress: "192.168.1.20" }],
  identity: { manufacturer: "Acme", model: "R1", name: null, page: null },
  protocols: [
    { protocol: "pcp", router: "192.168.1.1", failure: { kind: "silent", message: "It does not answer." } },
    { protocol: "igd2", router: "192.168.1.1", failure: null },
  ],
  externalAddress: "100.64.0.2",
  seen: { v4: null, v6: null },
  stunServer: null,
  nat: null,
  uptimeSec: 60,
  mappings: [],
  ignored: [],
  verdict: { kind: "cgnat", cause: "shared-outside", sure: true, evidence: ["It is shared."], advice: ["A relay."] },
};

/** A router that answers when it is told to, or ends with the signal. */
function slowRouter() {
  const timers = new ManualTimers();
  const asked: AbortSignal[] = [];
  const answers: (() => void)[] = [];
  const ask = routerAsker({
    inspect: ({ signal }) => {
      asked.push(signal);
      return new Promise((resolve, reject) => {
        answers.push(() => resolve(FOUND));
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    after: timers.after,
    wallMs: () => 7,
  });
  return { timers, asked, answers, ask };
}

const going = () => new AbortController().signal;
async function refusalOf(promise: Promise<unknown>): Promise<Pick<ApiFailure, "kind" | "retryAfterSec">> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ApiFailure) return { kind: error.kind, retryAfterSec: error.retryAfterSec };
    throw error;
  }
  throw new Error("it was not refused");
}

describe("the router of the server's machine", () => {
  test("is told in words", async () => {
    const { ask, answers, timers } = slowRouter();
    const asked = ask(going());
    answers[0]?.();
    const report = await asked;
    expect(RouterReport.parse(report)).toEqual(report);
    expect(report).toMatchObject({
      atMs: 7,
      name: "Acme R1",
      speaks: "UPnP (IGD 2); not PCP",
      protocols: [
        { name: "PCP", failure: "It does not answer." },
        { name: "UPnP (IGD 2)", failure: null },
      ],
      verdict: { kind: "cgnat", sentence: expect.stringContaining("CGNAT: "), evidence: ["It is shared."] },
    });
    expect(timers.count()).toBe(0);
  });

  test("is asked by one at a time, and again afterwards", async () => {
    const { ask, asked, answers } = slowRouter();
    const first = ask(going());
    expect(await refusalOf(ask(going()))).toEqual({ kind: "limited", retryAfterSec: 5 });
    expect(asked).toHaveLength(1);
    answers[0]?.();
    await first;
    const next = ask(going());
    answers[1]?.();
    expect((await next).name).toBe("Acme R1");
  });

  test("is not waited for any longer than 20 s, nor when whoever asked has gone", async () => {
    const { ask, asked, timers } = slowRouter();
    const late = refusalOf(ask(going()));
    timers.pass(ASK_ROUTER_MS - 1);
    expect(asked[0]?.aborted).toBe(false);
    timers.pass(ASK_ROUTER_MS);
    expect(await late).toMatchObject({ kind: "unavailable" });
    const page = new AbortController();
    const left = refusalOf(ask(page.signal));
    page.abort();
    expect(await left).toMatchObject({ kind: "unavailable" });
    expect([asked.map(({ aborted }) => aborted), timers.count()]).toEqual([[true, true], 0]);
  });

  test("what came after the end is no verdict", async () => {
    const gone = new AbortController();
    const ask = routerAsker({
      inspect: async () => {
        gone.abort();
        return FOUND;
      },
      after: new ManualTimers().after,
      wallMs: () => 7,
    });
    expect(await refusalOf(ask(gone.signal))).toMatchObject({ kind: "unavailable" });
  });
});
