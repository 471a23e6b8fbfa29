import { describe, expect, test } from "bun:test";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { inCountry, mmdb } from "../../../test/fixtures/mmdb.ts";
import { ControlError } from "../control.ts";
import { CountryFile } from "./countries.ts";

const SOME = [inCountry("198.51.100.0/24", "CH"), inCountry("2001:db8::/32", "IS")];

async function started(bytes: Uint8Array = mmdb(SOME)) {
  const directory = await temporaryDirectory();
  const path = join(directory.path, "countries.mmdb");
  await writeFile(path, bytes);
  const clock = { nowMs: 0 };
  const warnings: string[] = [];
  const file = await CountryFile.open({ path, nowMs: () => clock.nowMs, warn: (message) => warnings.push(message) });
  const of = async (address: string) => (await file.countriesOf([address]))[0];
  /** As programs that download do it. */
  const replace = async (next: Uint8Array | string) => {
    await writeFile(`${path}.new`, next);
    await rename(`${path}.new`, path);
  };
  return { path, clock, warnings, file, of, replace, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

describe("where an address is", () => {
  test.each<[string, string | null]>([
    ["198.51.100.7", "CH"],
    ["198.51.101.7", null],
    ["2001:db8:1::7", "IS"],
    ["2001:db9::7", null],
    ["192.168.1.9", null],
    ["not an address", null],
  ])("%s: %p", async (address, country) => {
    await using lab = await started();
    expect(await lab.of(address)).toBe(country);
  });

  test.each<[string, Parameters<typeof mmdb>[0][number]["record"], string | null]>([
    ["MaxMind and DB-IP", { country: { iso_code: "FR", names: { en: "France" } }, continent: { code: "EU" } }, "FR"],
    ["IPinfo Lite", { country: "France", country_code: "FR", continent: "Europe" }, "FR"],
    ["IPinfo before that", { country: "FR", country_name: "France" }, "FR"],
    ["a code that is none", { country: { iso_code: "<b>" } }, null],
    ["no country", { asn: "AS64496" }, null],
    ["a text", "FR", null],
  ])("as %s says it", async (_, record, country) => {
    await using lab = await started(mmdb([{ network: "198.51.100.0/24", record }]));
    expect(await lab.of("198.51.100.7")).toBe(country);
  });

  test("of IPv6 is not known to a database of IPv4", async () => {
    await using lab = await started(mmdb([inCountry("32.0.0.0/3", "CH")], 4));
    expect([await lab.of("33.0.0.1"), await lab.of("2001:db8::1")]).toEqual(["CH", null]);
  });

  test("of a value that cannot be read is not known, which is told once", async () => {
    const bytes = mmdb(SOME);
    // Of a kind that there is none of.
    bytes.set([0, 0xf0], bytes.indexOf("country") - 2);
    await using lab = await started(bytes);
    const asked = [await lab.of("198.51.100.7"), await lab.of("198.51.100.7")];
    expect([asked, lab.warnings.length]).toEqual([[null, null], 1]);
  });
});

describe("a file that cannot be used is one sentence at the start", () => {
  test.each<[string, Uint8Array | null, string]>([
    ["none", null, "is not there: name a file in the MaxMind DB format"],
    ["an empty one", new Uint8Array(), "is no whole file in the MaxMind DB format (.mmdb): download it again."],
    ["another kind", Buffer.from("<html>Sign in to download</html>"), "is no whole file"],
    ["a half", mmdb(SOME).subarray(0, 700), "is no whole file"],
  ])("%s", async (_, bytes, message) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "countries.mmdb");
    if (bytes !== null) await writeFile(path, bytes);
    const opened = CountryFile.open({ path, nowMs: () => 0, warn: () => undefined });
    const error = await opened.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof ControlError)) throw error;
    expect([error.kind, error.message.split("\n").length]).toEqual(["usage", 1]);
    expect(error.message).toContain(message);
    expect(error.message).toContain(path);
  });
});

describe("a file that is replaced", () => {
  const NEXT = mmdb([inCountry("198.51.100.0/24", "AT")]);
  const LATER_MS = 30_000;

  test("is read again when somebody asks half a minute later", async () => {
    await using lab = await started();
    await lab.replace(NEXT);
    lab.clock.nowMs = LATER_MS - 1;
    expect(await lab.of("198.51.100.7")).toBe("CH");
    lab.clock.nowMs = LATER_MS;
    expect(await lab.of("198.51.100.7")).toBe("AT");
  });

  test("is read again at a reload, and the same one is not", async () => {
    await using lab = await started();
    expect(await lab.file.look()).toEqual({ kind: "same" });
    await lab.replace(NEXT);
    expect(await lab.file.look()).toEqual({ kind: "renewed" });
    expect(await lab.file.look()).toEqual({ kind: "same" });
    expect(await lab.of("198.51.100.7")).toBe("AT");
  });

  test("by none, or one that is broken, leaves the one before in use, which is told once", async () => {
    await using lab = await started();
    await lab.replace("half");
    expect(await lab.file.look()).toMatchObject({ kind: "refused", message: expect.stringContaining("stays in use") });
    for (let look = 1; look <= 3; look++) {
      lab.clock.nowMs = look * LATER_MS;
      expect(await lab.of("198.51.100.7")).toBe("CH");
    }
    expect(lab.warnings.length).toBe(1);
    await rm(lab.path);
    expect(await lab.file.look()).toMatchObject({ kind: "refused", message: expect.stringContaining("is not there") });
    await lab.replace(NEXT);
    expect([await lab.file.look(), await lab.of("198.51.100.7")]).toEqual([{ kind: "renewed" }, "AT"]);
  });
});
