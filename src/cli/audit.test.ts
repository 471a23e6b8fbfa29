import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { dataDirectories, outcome } from "../../test/fixtures/fake-world.ts";
import type { AuditEntry, AuditRequest } from "../roles/control.ts";
import { FAKE_AUDIT } from "../servers/local/fake-audit.ts";
import { FakeRelay } from "../servers/local/fake-control.ts";
import { FakeGateway } from "../servers/local/fake-gateway.ts";
import { type LocalServer, serveGatewayControl, serveRelayControl } from "../servers/local/server.ts";

const { freshData, remove } = dataDirectories();
const servers: LocalServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
  remove();
});

/** As many as a year has: several answers. */
const MANY = 2_500;
class LongRelay extends FakeRelay {
  override async audit({ afterId, limit }: AuditRequest): Promise<readonly AuditEntry[]> {
    const count = Math.min(limit, MANY - afterId);
    return Array.from({ length: count }, (_, at) => {
      const id = afterId + at + 1;
      return { id, atMs: id, actor: "relay", action: "a.b", subject: "c", detail: {} };
    });
  }
}

function withRelay(control: FakeRelay = new FakeRelay()): string {
  const data = freshData();
  servers.push(serveRelayControl(control, { path: join(data, "relay.sock"), onUnexpected: () => {} }));
  return data;
}

function withGateway(): string {
  const data = freshData();
  const path = join(data, "gateway.sock");
  servers.push(serveGatewayControl(new FakeGateway(), { path, onUnexpected: () => {} }));
  return data;
}

const at = (line: string, data: string) => outcome([...line.split(" "), "--data", data]);
const objects = (out: string) =>
  out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

describe("audit", () => {
  test.each([
    ["a relay", withRelay],
    ["a gateway", withGateway],
  ])("--json: a line an entry, of %s", async (_what, start) => {
    const { code, out, err } = await at("audit --json", start());
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(objects(out)).toEqual(FAKE_AUDIT.map((entry) => ({ v: 1, ...entry })));
  });

  test("a table for people", async () => {
    const { out } = await at("audit", withRelay());
    const [head = "", first = "", , last = ""] = out.split("\n");
    expect(head).toMatch(/^TIME \(UTC\) +WHO +DID +TO +MORE$/);
    expect(first).toMatch(/^1970-01-01 00:00:01 +operator +join-code\.created +join-code:1 +name=den$/);
    expect(last).toMatch(/^1970-01-01 00:00:03 +user:ada +ports\.released +device:1/);
  });

  test("--since leaves out what is older", async () => {
    const { code, out } = await at("audit --since 1d", withRelay());
    expect({ code, out }).toEqual({ code: 0, out: "Nothing was done.\n" });
    expect((await at("audit --since 1d --json", withRelay())).out).toBe("");
    const asked: AuditRequest[] = [];
    const asking = new FakeRelay();
    asking.audit = async (request) => {
      asked.push(request);
      return [];
    };
    const beforeMs = Date.now();
    await at("audit --since 1d", withRelay(asking));
    await at("audit", withRelay(asking));
    expect(asked.map(({ afterId }) => afterId)).toEqual([0, 0]);
    expect(asked[0]?.sinceMs).toBeGreaterThanOrEqual(beforeMs - 86_400_000);
    expect(asked[0]?.sinceMs).toBeLessThanOrEqual(Date.now() - 86_400_000);
    expect(asked[1]?.sinceMs).toBe(0);
  });

  test("a long log comes whole, by several answers", async () => {
    const { out } = await at("audit --json", withRelay(new LongRelay()));
    expect(objects(out).map(({ id }) => id)).toEqual(Array.from({ length: MANY }, (_, index) => index + 1));
  });

  test("a duration that is none is wrong usage", async () => {
    const { code, err } = await at("audit --since yesterday", withRelay());
    expect([code, err.startsWith("hatchway: --since: ")]).toEqual([2, true]);
  });

  test("without a relay or a gateway there is nobody to ask", async () => {
    const { code, out, err } = await at("audit --json", freshData());
    expect({ code, out }).toEqual({ code: 4, out: "" });
    expect(err).toContain("Neither a relay nor a gateway runs");
  });
});
