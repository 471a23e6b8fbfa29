import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fastestMs } from "../fixtures/fastest.ts";
import { open, type Site, startSite, status } from "./hatchway.ts";
import { startService, type VisitEnd, visit, visitUdp } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

/** Through the tunnel, a connection ends as it would without it, and datagrams stay what they were. */
const HALF_CLOSE_BYTES = 50_000_000;
const REFUSED_WITHIN_MS = 100;
const UDP_SIZES = [1, 1_400, 9_000, 65_507];
const PORTS = { answer: 7001, listen: 7002, resetter: 7003, watch: 7004, nobody: 7005, udp: 7006 };
let lab: Lab;
let site: Site;

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab);
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

describe("half-close", () => {
  test("the visitor sends 50 MB, shuts down, then receives 50 MB", async () => {
    await using service = await startService(lab, lab.agent, `answer:tcp:${PORTS.answer}:${HALF_CLOSE_BYTES}`);
    await using _ = await open(lab, site.agentHome, "expose", `${PORTS.answer}`);
    const end = await visit<object>(lab, lab.visitor, "ask", lab.relay.v4, PORTS.answer, HALF_CLOSE_BYTES);
    expect(end).toMatchObject({ ended: true, error: null, sentAll: true, received: HALF_CLOSE_BYTES, wrongAt: null });
    expect(await service.event<object>("received")).toMatchObject({ bytes: HALF_CLOSE_BYTES, wrongAt: null });
  }, 30_000);

  test("the service shuts down first and then receives 50 MB", async () => {
    await using service = await startService(lab, lab.agent, `listen:tcp:${PORTS.listen}`);
    await using _ = await open(lab, site.agentHome, "expose", `${PORTS.listen}`);
    const end = await visit<object>(lab, lab.visitor, "afterwards", lab.relay.v4, PORTS.listen, HALF_CLOSE_BYTES);
    expect(end).toMatchObject({ error: null, sentAll: true });
    expect(await service.event<object>("received")).toMatchObject({
      bytes: HALF_CLOSE_BYTES,
      wrongAt: null,
      error: null,
    });
  }, 30_000);
});

describe("reset", () => {
  test("of the visitor reaches the service", async () => {
    await using service = await startService(lab, lab.agent, `watch:tcp:${PORTS.watch}`);
    await using _ = await open(lab, site.agentHome, "expose", `${PORTS.watch}`);
    await visit(lab, lab.visitor, "reset", lab.relay.v4, PORTS.watch);
    expect(await service.event<object>("closed")).toMatchObject({ error: "ECONNRESET" });
  });

  test("of the service reaches the visitor", async () => {
    await using _ = await startService(lab, lab.agent, `resetter:tcp:${PORTS.resetter}`);
    await using __ = await open(lab, site.agentHome, "expose", `${PORTS.resetter}`);
    const end = await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, PORTS.resetter, "x");
    expect(end).toMatchObject({ error: "ECONNRESET" });
  });

  test("follows within 100 ms when nothing listens, and `status` says why", async () => {
    await using _ = await open(lab, site.agentHome, "expose", `${PORTS.nobody}`);
    let serviceRefused = 0;
    const refused = async () => {
      const end = await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, PORTS.nobody);
      expect(end).toMatchObject({ error: "ECONNRESET" });
      serviceRefused++;
      return end.ms;
    };
    expect(await fastestMs(REFUSED_WITHIN_MS, refused)).toBeLessThanOrEqual(REFUSED_WITHIN_MS);
    expect((await status(lab, site.relayHome)).counters.refused).toMatchObject({ serviceRefused });
    expect((await status(lab, site.agentHome)).counters.refused).toMatchObject({ serviceRefused });
  });
});

describe("UDP", () => {
  for (const family of ["v4", "v6"] as const) {
    test(`datagrams of ${UDP_SIZES.join(", ")} bytes return unchanged over IP${family}, from the port written to`, async () => {
      await using _ = await startService(lab, lab.agent, `echo:udp:${PORTS.udp}`);
      await using __ = await open(lab, site.agentHome, "expose", `${PORTS.udp}/udp`);
      const to = lab.relay[family];
      const { results } = await visitUdp<{ results: object[] }>(lab, lab.visitor, "sizes", to, PORTS.udp, ...UDP_SIZES);
      const from = `${to} ${PORTS.udp}`;
      expect(results).toEqual(UDP_SIZES.map((size) => ({ size, received: size, same: true, from })));
    }, 20_000);
  }

  test("a thousand flows at once keep apart", async () => {
    await using _ = await startService(lab, lab.agent, `echo:udp:${PORTS.udp}`);
    await using __ = await open(lab, site.agentHome, "expose", `${PORTS.udp}/udp`);
    const result = await visitUdp<object>(lab, lab.visitor, "flows", lab.relay.v4, PORTS.udp, 1_000);
    expect(result).toMatchObject({ answered: 1_000, mixedUp: 0, wrongSource: 0 });
    expect((await status(lab, site.relayHome)).counters.visitorsOpen).toBeGreaterThanOrEqual(1_000);
  }, 20_000);
});
