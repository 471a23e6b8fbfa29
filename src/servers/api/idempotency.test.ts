import { expect, test } from "bun:test";
import { IdempotentAnswers } from "./idempotency.ts";

const LIMITS = { keepMs: 1_000, maxPerPrincipal: 3, maxBytes: 4_096 };
const request = { target: "POST /v1/forwards", body: new Uint8Array() };

class Book {
  nowMs = 0;
  made = 0;
  readonly answers = new IdempotentAnswers(() => this.nowMs, LIMITS);

  /** How often it was made by now. */
  async ask(principal: string, key: string, text = ""): Promise<number> {
    await this.answers.answer(principal, key, request, async () => {
      this.made++;
      return new Response(text);
    });
    return this.made;
  }
}

test("a principal's oldest key gives way to its newest, and to nobody else's", async () => {
  const book = new Book();
  await book.ask("b", "k");
  for (const key of ["1", "2", "3", "4"]) await book.ask("a", key);
  expect([await book.ask("b", "k"), await book.ask("a", "4"), await book.ask("a", "1")]).toEqual([5, 5, 6]);
});

test("all of them have so many bytes at most", async () => {
  const book = new Book();
  for (let count = 0; count < 50; count++) {
    await book.ask(`p${count}`, "k", "x".repeat(500));
    expect(book.answers.bytes).toBeLessThanOrEqual(LIMITS.maxBytes);
  }
  expect(await book.ask("p0", "k")).toBe(51);
});

test("an answer that is too large is not kept, and given", async () => {
  const book = new Book();
  expect([await book.ask("a", "k", "x".repeat(10_000)), book.answers.bytes]).toEqual([1, 0]);
});

test("they are forgotten in time", async () => {
  const book = new Book();
  await book.ask("a", "k");
  book.nowMs = 999;
  expect(await book.ask("a", "k")).toBe(1);
  book.nowMs = 1_000;
  await book.ask("a", "other");
  expect(await book.ask("a", "k")).toBe(3);
});

test("whoever waits for one that fails is told so, and the next may try", async () => {
  const book = new Book();
  const gate = Promise.withResolvers<Response>();
  const first = book.answers.answer("a", "k", request, () => gate.promise);
  const second = book.answers.answer("a", "k", request, () => gate.promise);
  gate.reject(new Error("no"));
  const outcomes = await Promise.allSettled([first, second]);
  expect([outcomes.map(({ status }) => status), book.answers.bytes]).toEqual([["rejected", "rejected"], 0]);
  expect(await book.ask("a", "k")).toBe(1);
});
