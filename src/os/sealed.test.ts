import { describe, expect, test } from "bun:test";
import { CHUNK_BYTES, HEADER_BYTES, TAG_BYTES } from "../wire/backup.ts";
import { SealedError, seal, unseal } from "./sealed.ts";

const PASSPHRASE = "correct horse battery staple";
/** The cheapest that is read. */
const CHEAP = { logN: 14, r: 8, p: 1 };

async function* inPieces(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const all = async (source: AsyncIterable<Uint8Array>) => new Uint8Array(Buffer.concat(await Array.fromAsync(source)));
const sealed = (bytes: Uint8Array) => all(seal(inPieces(bytes), PASSPHRASE, CHEAP));
const opened = (bytes: Uint8Array, passphrase = PASSPHRASE) => all(unseal(inPieces(bytes, 7_777), passphrase));
const some = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 31) & 0xff);

async function kindOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "opened";
  } catch (error) {
    if (error instanceof SealedError) return error.kind;
    throw error;
  }
}

describe("what is sealed is opened again", () => {
  test.each([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5])("%p bytes", async (length) => {
    const bytes = some(length);
    const file = await sealed(bytes);
    const chunks = Math.max(1, Math.ceil(length / CHUNK_BYTES));
    expect(file).toHaveLength(HEADER_BYTES + length + chunks * TAG_BYTES);
    expect(Buffer.from(await opened(file)).equals(bytes)).toBe(true);
  });
});

describe("what is not whole is refused", () => {
  const body = some(2 * CHUNK_BYTES + 100);

  test("a wrong passphrase, and nothing is given out", async () => {
    const file = await sealed(body);
    expect(await kindOf(opened(file, "another passphrase"))).toBe("wrong");
  });

  test("a byte that was changed anywhere", async () => {
    const file = await sealed(body);
    for (const at of [8, 9, 12, HEADER_BYTES, HEADER_BYTES + CHUNK_BYTES + TAG_BYTES + 3, file.length - 1]) {
      expect([at, await kindOf(opened(file.with(at, (file[at] ?? 0) ^ 1)))]).toEqual([
        at,
        expect.not.stringMatching("opened"),
      ]);
    }
  });

  test("cut off, also where a chunk ends", async () => {
    const file = await sealed(body);
    const chunk = CHUNK_BYTES + TAG_BYTES;
    for (const length of [
      0,
      5,
      HEADER_BYTES,
      HEADER_BYTES + 3,
      HEADER_BYTES + chunk,
      HEADER_BYTES + 2 * chunk,
      file.length - 1,
    ]) {
      expect([length, await kindOf(opened(file.slice(0, length)))]).toEqual([
        length,
        expect.not.stringMatching("opened"),
      ]);
    }
  });

  test("chunks in another order, left out, or behind the last", async () => {
    const file = await sealed(body);
    const chunk = CHUNK_BYTES + TAG_BYTES;
    const [first, second, last] = [0, 1, 2].map((n) =>
      file.slice(HEADER_BYTES + n * chunk, HEADER_BYTES + (n + 1) * chunk),
    );
    const header = file.slice(0, HEADER_BYTES);
    for (const parts of [
      [second, first, last],
      [first, last],
      [first, second, last, last],
    ]) {
      const mixed = new Uint8Array(Buffer.concat([header, ...parts.map((part) => part ?? new Uint8Array())]));
      expect(await kindOf(opened(mixed))).not.toBe("opened");
    }
  });

  test("the same text is another file each time", async () => {
    expect(Buffer.from(await sealed(body)).equals(await sealed(body))).toBe(false);
  });
});
