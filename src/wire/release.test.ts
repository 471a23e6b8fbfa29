import { expect, test } from "bun:test";
import { decodeRelease, encodeRelease, MAX_RELEASE_BYTES, type Release } from "./release.ts";

const SHA = "0a".repeat(32);
const RELEASE: Release = {
  v: 1,
  name: "hatchway",
  version: "1.2.3-rc.1",
  bun: "1.4.5",
  files: [{ name: "hatchway-1.2.3-linux-x64", target: "linux-x64", bytes: 100, sha256: SHA }],
  sbom: { name: "hatchway-1.2.3.cdx.json", bytes: 10, sha256: SHA },
};
const [FILE] = RELEASE.files;
const withFile = (change: object) => ({ ...RELEASE, files: [{ ...FILE, ...change }] });

test("a manifest is read as it was written", () => {
  expect(decodeRelease(encodeRelease(RELEASE))).toEqual({ ok: true, value: RELEASE });
});

test("keys of later versions are passed over", () => {
  expect(decodeRelease(JSON.stringify({ ...RELEASE, notes: "new" }))).toEqual({ ok: true, value: RELEASE });
});

test.each<[string, object, string]>([
  ["a later shape", { ...RELEASE, v: 2 }, "is not one of Hatchway's at v"],
  ["another program's", { ...RELEASE, name: "other" }, "is not one of Hatchway's at name"],
  ["a version that is none", { ...RELEASE, version: "1.2" }, "is not one of Hatchway's at version"],
  ["a file elsewhere", withFile({ name: "../hatchway" }), "is not one of Hatchway's at files.0.name"],
  ["a checksum that is none", withFile({ sha256: SHA.slice(2) }), "is not one of Hatchway's at files.0.sha256"],
  ["more files than a release has", { ...RELEASE, files: Array(101).fill(FILE) }, "is not one of Hatchway's at files"],
])("%s is refused", (_, value, message) => {
  expect(decodeRelease(JSON.stringify(value))).toEqual({ ok: false, error: { message } });
});

test.each([
  ["cut", encodeRelease(RELEASE).slice(0, -3), "is not one of Hatchway's"],
  ["too big", " ".repeat(MAX_RELEASE_BYTES + 1), "is too big to be one"],
])("a manifest that is %s is refused", (_, text, message) => {
  expect(decodeRelease(text)).toEqual({ ok: false, error: { message } });
});
