import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fastestMs } from "../fixtures/fastest.ts";
import { type Home, newHome, open } from "./hatchway.ts";
import { startService, type VisitEnd, visit, visitUdp } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

/** A direct forward needs neither relay nor agent: here, on the machine that is the relay elsewhere. */
const BYTES = 20_000_000;
const UDP_SIZES = [1, 1_400, 9_000, 65_507];
let lab: Lab;
let home: Home;

beforeAll(async () => {
  lab = createLab();
  home = newHome(lab, lab.relay);
  await startService(
    lab,
    lab.nat,
    "port:tcp:9000-9099",
    `answer:tcp:9100:${BYTES}`,
    "resetter:tcp:9101",
    "echo:udp:9000-9009",
  );
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

describe("a direct forward", () => {
  test("carries a TCP range, port to port", async () => {
    await using opened = await open(lab, home, "direct", "*:8000-8099", `${lab.nat.v4}:9000-9099`);
    expect(opened.endpoints).toMatchObject([{ protocol: "tcp", port: 8000, lastPort: 8099, internalPort: 9000 }]);
    const { answers } = await visit<{ answers: object }>(lab, lab.visitor, "ports", lab.relay.v4, 8000, 8050, 8099);
    expect(answers).toEqual({ 8000: "9000\n", 8050: "9050\n", 8099: "9099\n" });
    const over6 = await visit<{ answers: object }>(lab, lab.visitor, "ports", lab.relay.v6, 8007);
    expect(over6.answers).toEqual({ 8007: "9007\n" });
  }, 20_000);

  test("keeps half-close, order and resets", async () => {
    await using _ = await open(lab, home, "direct", "*:8100-8101", `${lab.nat.v4}:9100-9101`);
    const end = await visit<object>(lab, lab.visitor, "ask", lab.relay.v4, 8100, BYTES);
    expect(end).toMatchObject({ ended: true, error: null, sentAll: true, received: BYTES, wrongAt: null });
    expect(await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, 8101, "x")).toMatchObject({
      error: "ECONNRESET",
    });
  }, 20_000);

  test("carries UDP of every size, in ranges, from the port written to", async () => {
    await using _ = await open(lab, home, "direct", "*:8000-8009", `${lab.nat.v4}:9000-9009`, "--protocol", "udp");
    const { results } = await visitUdp<{ results: object[] }>(
      lab,
      lab.visitor,
      "sizes",
      lab.relay.v4,
      8009,
      ...UDP_SIZES,
    );
    const from = `${lab.relay.v4} 8009`;
    expect(results).toEqual(UDP_SIZES.map((size) => ({ size, received: size, same: true, from })));
    const flows = await visitUdp<object>(lab, lab.visitor, "flows", lab.relay.v4, 8003, 1_000);
    expect(flows).toMatchObject({ answered: 1_000, mixedUp: 0, wrongSource: 0 });
  }, 30_000);

  test("resets a visitor within 100 ms when nothing listens", async () => {
    await using _ = await open(lab, home, "direct", "*:8200", `${lab.nat.v4}:9999`);
    const reset = async () => {
      const end = await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, 8200);
      expect(end.error).toBe("ECONNRESET");
      return end.ms;
    };
    expect(await fastestMs(100, reset)).toBeLessThanOrEqual(100);
  });
});
