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
const FIRST_TABLE_MS = 1_000;
const LOADS = 3;
const STEP_MS = 300;
const SCROLL_FRAMES = 120;
/** Five of a 60 Hz screen: what somebody sees as a jump. */
const JUMP_MS = 84;

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

  test("the stream of events tells all of it, goes on, and then tells only what changed", async () => {
    const stop = new AbortController();
    const looks: LiveEvent[][] = [[]];
    for await (const event of client.events({ signal: stop.signal })) {
      looks.at(-1)?.push(event);
      if (event.event !== "traffic") continue;
      if (looks.length === 3) stop.abort();
      looks.push([]);
    }
    const [first = [], , third = []] = looks;
    expect(first).toHaveLength(FORWARDS + DEVICES + 1);
    expect(JSON.stringify(third).length * 100).toBeLessThan(JSON.stringify(first).length);
  });
});

/** Signed in, and what went wrong in the page fails the test. */
async function withPage(use: (page: Page) => Promise<void>): Promise<void> {
  await browser.visit(crowd, async (visit) => {
    await visit.signIn(CROWD_PERSON.name, CROWD_PERSON.password);
    await use(visit.page);
  });
}

const first = (page: Page, path: string) => firstTableMs(page, `${crowd.origin}${path}`, LOADS);
const sort = (page: Page) =>
  stepMs(
    page,
    'document.querySelectorAll(".sort")[1].click()',
    'document.querySelectorAll(".sort-mark")[1].className === "sort-mark"',
  );
const next = (page: Page) =>
  stepMs(
    page,
    '[...document.querySelectorAll(".pager button")][1].click()',
    'document.body.innerText.includes("51–100 of")',
  );
/** As somebody types it. */
const filter = (page: Page, text: string, found: string) =>
  stepMs(
    page,
    `{ const input = document.querySelector("input[type=search]");
       Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, ${JSON.stringify(text)});
       input.dispatchEvent(new Event("input", { bubbles: true })); }`,
    `document.querySelector(".filter-bar [role=status]").innerText === ${JSON.stringify(found)}`,
  );

/** Tells what it took, and holds it to what a person waits for without noticing. */
async function expectUsable(page: Page, path: string, steps: Readonly<Record<string, () => Promise<number>>>) {
  const firstMs = await first(page, path);
  const took: Record<string, number> = {};
  for (const [name, step] of Object.entries(steps)) took[name] = await step();
  const scrolled = await scrollTimes(page, SCROLL_FRAMES);
  console.log(path, { firstMs, ...took, ...scrolled });
  expect(firstMs).toBeLessThan(FIRST_TABLE_MS);
  for (const [name, ms] of Object.entries(took))
    expect({ name, ms, slow: ms > STEP_MS }).toEqual({ name, ms, slow: false });
  expect(scrolled.p95Ms).toBeLessThan(JUMP_MS);
}

describe("pages stay usable", () => {
  test(`port forwarding, of ${FORWARDS}`, () =>
    withPage((page) =>
      expectUsable(page, "/forwards", {
        sort: async () => {
          await page.getByText(`1–50 of ${FORWARDS.toLocaleString("en")}`).waitFor();
          return sort(page);
        },
        next: () => next(page),
        filter: () => filter(page, `Service 77${""}7`, `1 of ${FORWARDS.toLocaleString("en")} forwards`),
        all: () => filter(page, "", ""),
      }),
    ));

  test(`devices, of ${DEVICES}`, () =>
    withPage((page) =>
      expectUsable(page, "/devices", {
        sort: () => sort(page),
        next: () => next(page),
        filter: () => filter(page, "device-77", `1 of ${DEVICES} devices`),
        all: () => filter(page, "", ""),
      }),
    ));

  test(`live connections, all ${VISITORS} of them read`, () =>
    withPage(async (page) => {
      const total = VISITORS.toLocaleString("en");
      await expectUsable(page, "/live", {
        readAll: async () => {
          const more = page.getByRole("button", { name: "Read more" });
          for (let read = PAGE_LIMIT; read < VISITORS; read += PAGE_LIMIT) {
            await page.getByText(`${read.toLocaleString("en")} visitors, and more, connected now.`).waitFor();
            await more.click();
          }
          await page.getByText(`${total} visitors connected now.`).waitFor();
          return 0;
        },
        sort: () => sort(page),
        next: () => next(page),
        filter: () => filter(page, `:${crowd.ports[77]}`, `5 of ${total} visitors`),
        all: () => filter(page, "", ""),
      });
    }));
});
