import { expect, test } from "bun:test";
import { gatewayLab } from "../../../test/fixtures/gateway-lab.ts";
import { ApiFailure, type Page, type PageRequest } from "../../servers/api/backend.ts";
import { FakeBackend } from "../../servers/api/fake-backend.ts";
import { bothBackends } from "./both.ts";

const ALL = { device: null, text: null };

async function started() {
  const lab = await gatewayLab();
  const gateway = await lab.start();
  const ann = await lab.person("ann", "admin", "owner");
  for (const port of [8840, 8841]) {
    const draft = { device: "192.168.1.9", ports: `${port}`, name: `web ${port}` };
    await gateway.forwards.addForward(ann, draft, false);
  }
  const { forwards: relay } = new FakeBackend();
  const both = bothBackends({ relay, beside: gateway, wallMs: () => 0, signal: new AbortController().signal });
  return Object.assign(lab, { ann, relay, both, gateway });
}

async function idsOf(list: (page: PageRequest) => Promise<Page<{ readonly id: string }>>, limit: number) {
  const ids: string[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: Page<{ readonly id: string }> = await list({ limit, cursor });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    ids.push(...page.items.map(({ id }) => id));
    if (page.next === null) return ids;
    cursor = page.next;
  }
}

test.each([1, 2, 3, 4, 100])("a list goes on from the relay's to the gateway's, %d at a time", async (limit) => {
  await using lab = await started();
  const { both, relay, gateway, ann } = lab;
  const every = [
    ...(await idsOf((page) => relay.listForwards(ann, page, ALL), 100)),
    ...(await idsOf((page) => gateway.forwards.listForwards(ann, page, ALL), 100)),
  ];
  expect(every.length).toBeGreaterThan(2);
  expect(await idsOf((page) => both.listForwards(ann, page, ALL), limit)).toEqual(every);
});

test("a cursor of another list is refused", async () => {
  await using lab = await started();
  const asked = lab.both.listForwards(lab.ann, { limit: 1, cursor: "zzz" }, ALL);
  await expect(asked).rejects.toBeInstanceOf(ApiFailure);
});

test("an id, and a draft's device, say whose it is", async () => {
  await using lab = await started();
  const { both, relay, ann } = lab;
  const [own] = (await relay.listForwards(ann, { limit: 1, cursor: null }, ALL)).items;
  expect((await both.getForward(ann, own?.id ?? "")).value).toMatchObject({ id: own?.id ?? "" });
  const made = await both.addForward(ann, { device: "192.168.1.9", ports: "9000" }, false);
  expect(made.value.way).toBe("kernel");
  await both.removeForward(ann, made.value.id, made.version);
  const seen = await both.overview(ann);
  expect(seen.roles).toEqual(["relay", "gateway"]);
  expect(seen.gateway?.wan).toEqual(["wan"]);
});
