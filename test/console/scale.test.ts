import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import type { Client } from "../../src/servers/api/client.ts";
import type { Visit as ApiVisit, LiveEvent } from "../../src/servers/api/schema.ts";
import { TestBrowser } from "../fixtures/console-browser.ts";
import { CROWD_PERSON, type Crowd, gatherCrowd } from "../fixtures/crowd/crowd.ts";
import { firstTableMs, scrollTimes, stepMs } from "../fixtures/page-times.ts";

setDefaultTimeout(60_000);

/** A real relay with as many as there may be, and what its API and its pages make of them. */
const FORWARDS = 1_000;
const DEVICES = 200;
const VISITORS = 5_000;
/** The biggest page of a list. */
const PAGE_LIMIT = 500;
/** Of one item of a list as JSON, on average. */
const ITEM_BYTES = 1_024;
/** Of four looks at a relay where one forward changes. */
const LOOKS_BYTES = 20 * 1_024;
const FIRST_TABLE_MS = 1_000;
const STEP_MS = 300;
/** Of steps and of scrolling, at most, when the machine has other things to do. */
const ROUNDS = 4;
const SCROLL_FRAMES = 120;
const TWO_FRAMES_MS = 34;
/** Five of a 60 Hz screen: what somebody sees as a jump. */
const JUMP_MS = 84;
const MOVING = { reducedMotion: "no-preference" } as const;

let crowd: Crowd;
let client: Client;
let browser: TestBrowser;
beforeAll(async () => {
  const size = { forwards: FORWARDS, devices: DEVICES, visitors: VISITORS };
  [crowd, browser] = await Promise.all([gatherCrowd(size), TestBrowser.launch()]);
  ({ client } = crowd);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await crowd[Symbol.asyncDispose]();
});

/** Each page of a list, 500 at a time; `between` goes on after each. */
async function pagesOf<T>(
  list: (ask: { limit: number; cursor: string | null }) => Promise<{ items: readonly T[]; next: string | null }>,
  between: () => Promise<unknown> = async () => {},
): Promise<readonly (readonly T[])[]> {
  const pages: (readonly T[])[] = [];
  let cursor: string | null = null;
  do {
    const { items, next } = await list({ limit: PAGE_LIMIT, cursor });
    expect(JSON.stringify(items).length).toBeLessThan(PAGE_LIMIT * ITEM_BYTES);
    pages.push(items);
    cursor = next;
    if (cursor !== null) await between();
  } while (cursor !== null);
  return pages;
}

const idsOf = (pages: readonly (readonly { readonly id: string }[])[]) => pages.flat().map(({ id }) => id);

describe("the API lists in pages", () => {
  test("forwards and devices, each once", async () => {
    const forwards = await pagesOf((ask) => client.listForwards(ask));
    expect(forwards.map(({ length }) => length)).toEqual([PAGE_LIMIT, PAGE_LIMIT]);
    expect(new Set(idsOf(forwards)).size).toBe(FORWARDS);
    expect(forwards.flat().every(({ state }) => state === "open")).toBe(true);
    const devices = await pagesOf((ask) => client.listDevices(ask));
    expect(new Set(idsOf(devices)).size).toBe(DEVICES);
    expect(await client.getOverview()).toMatchObject({
      devices: { connected: DEVICES, enrolled: DEVICES },
      forwards: { open: FORWARDS, all: FORWARDS },
      counters: { visitorsOpen: VISITORS },
    });
  });

  test("live connections, each once, while some come and others go", async () => {
    const list = (ask: { limit: number; cursor: string | null }) => client.listVisits(ask);
    const before: readonly (readonly ApiVisit[])[] = await pagesOf(list);
    expect(new Set(idsOf(before)).size).toBe(VISITORS);
    const TURNOVER = 20;
    const seen = await pagesOf(list, async () => {
      await crowd.visitors.do({ kind: "leave", count: TURNOVER }, "visiting");
      await crowd.visitors.do({ kind: "visit", ports: crowd.ports.slice(0, TURNOVER) }, "visiting");
    });
    expect(seen.length).toBeGreaterThanOrEqual(VISITORS / PAGE_LIMIT - 1);
    const after = new Set(idsOf(await pagesOf(list)));
    const stayed = idsOf(before).filter((id) => after.has(id));
    expect(stayed.length).toBeGreaterThan(VISITORS - 10 * 2 * TURNOVER);
    const times = Map.groupBy(idsOf(seen), (id) => id);
    expect([...times.values()].filter(({ length }) => length > 1)).toEqual([]);
    expect(stayed.filter((id) => !times.has(id))).toEqual([]);
  });

  test("the stream of events goes on, and tells only what changes", async () => {
    const [forward] = (await client.listForwards({ limit: 1 })).items;
    if (forward === undefined) throw new Error("no forward");
    const stop = new AbortController();
    let looks = 0;
    let bytes = 0;
    const told: LiveEvent[] = [];
    for await (const event of client.events({ signal: stop.signal })) {
      bytes += JSON.stringify(event).length;
      if (event.event === "forward") told.push(event);
      if (event.event !== "traffic") continue;
      looks++;
      if (looks === 2) await client.changeForward(forward.id, { connections: 100 });
      if (looks === 4) stop.abort();
    }
    expect([looks, told]).toMatchObject([4, [{ forward: { id: forward.id, limits: { connections: 100 } } }]]);
    expect(bytes).toBeLessThan(LOOKS_BYTES);
  });
});

type Step = (page: Page) => Promise<number>;

/** By the second column; each time the other way round. */
const sort: Step = (page) =>
  stepMs(
    page,
    `const heading = () => document.querySelectorAll("th")[1];
     const before = heading().getAttribute("aria-sort");
     heading().querySelector(".sort").click()`,
    'heading().getAttribute("aria-sort") !== before',
  );
const next: Step = (page) =>
  stepMs(
    page,
    '[...document.querySelectorAll(".pager button")][1].click()',
    'document.querySelector(".pager").innerText.includes("51–100 of")',
  );
/** As somebody types it. */
const filter = (text: string, found: string) => (page: Page) =>
  stepMs(
    page,
    `const input = document.querySelector("input[type=search]");
     Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, ${JSON.stringify(text)});
     input.dispatchEvent(new Event("input", { bubbles: true }))`,
    `document.querySelector(".filter-bar [role=status]").innerText === ${JSON.stringify(found)}`,
  );

/** What a page takes, told and held to what a person waits for without noticing. */
async function expectUsable(path: string, whole: (page: Page) => Promise<void>, steps: Readonly<Record<string, Step>>) {
  // What went wrong in the page, as an error of its script, fails the test.
  await browser.visit(
    crowd,
    async (visit) => {
      const { page } = visit;
      await visit.signIn(CROWD_PERSON.name, CROWD_PERSON.password);
      const firstMs = await firstTableMs(page, `${crowd.origin}${path}`, FIRST_TABLE_MS);
      await whole(page);
      const took: Record<string, number> = {};
      const isSlow = () => Object.values(took).some((ms) => ms > STEP_MS);
      for (let round = 0; round === 0 || (round < ROUNDS && isSlow()); round++) {
        for (const [name, step] of Object.entries(steps))
          took[name] = Math.min(took[name] ?? Number.POSITIVE_INFINITY, await step(page));
      }
      let scrolled = await scrollTimes(page, SCROLL_FRAMES);
      for (let round = 1; round < ROUNDS && scrolled.p95Ms > JUMP_MS; round++)
        scrolled = await scrollTimes(page, SCROLL_FRAMES);
      console.log(path, { firstMs, ...took, ...scrolled });
      expect(firstMs).toBeLessThan(FIRST_TABLE_MS);
      expect(Object.entries(took).filter(([, ms]) => ms > STEP_MS)).toEqual([]);
      expect(scrolled.medianMs).toBeLessThan(TWO_FRAMES_MS);
      expect(scrolled.p95Ms).toBeLessThan(JUMP_MS);
      expect(await page.getByText("The connection to the relay is lost.").count()).toBe(0);
    },
    MOVING,
  );
}

describe("pages stay usable", () => {
  const thousand = FORWARDS.toLocaleString("en");
  const total = VISITORS.toLocaleString("en");

  test(`port forwarding, of ${FORWARDS}`, () => {
    const one = filter(`127.0.0.1:${crowd.ports[77]}`, `1 of ${thousand} forwards`);
    const whole = (page: Page) => page.getByText(`1–50 of ${thousand}`).waitFor();
    return expectUsable("/forwards", whole, { sort, next, filter: one, unfilter: filter("", "") });
  });

  test(`devices, of ${DEVICES}`, () => {
    const whole = (page: Page) => page.getByText(`1–50 of ${DEVICES}`).waitFor();
    const one = filter("device-177", `1 of ${DEVICES} devices`);
    return expectUsable("/devices", whole, { sort, next, filter: one, unfilter: filter("", "") });
  });

  test(`live connections, all ${VISITORS} of them read`, () => {
    const five = filter(`127.0.0.1:${crowd.ports[777]}`, `5 of ${total} visitors`);
    const whole = async (page: Page) => {
      for (let read = PAGE_LIMIT; read < VISITORS; read += PAGE_LIMIT) {
        await page.getByText(`${read.toLocaleString("en")} visitors, and more, connected now.`).waitFor();
        await page.getByRole("button", { name: "Read more" }).click();
      }
      await page.getByText(`${total} visitors connected now.`).waitFor();
    };
    return expectUsable("/live", whole, { sort, next, filter: five, unfilter: filter("", "") });
  });
});
