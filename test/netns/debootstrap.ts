// The executable on a Debian of its own, as debootstrap makes it (--variant=minbase), and nothing else: does it do its job there?
//   node_modules/.bin/bun test ./test/netns/debootstrap.ts
// As root, with Debian's package debootstrap and its mirror in reach; $DEBIAN_MIRROR is another one. It takes a minute or two,
// so `npm test` leaves it out: test/netns/executable.test.ts does the same with the five files of libc6 that the executable names.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownTarget } from "../../src/roles/upgrade/check.ts";
import { copyProject, makeRelease } from "../fixtures/release.ts";
import { doesItsJob, linkOrCopy, PROGRAM } from "./executable-kit.ts";
import { createLab, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";

const TIMEOUT_MS = 600_000;
setDefaultTimeout(TIMEOUT_MS);
const SUITE = "bookworm";
const MIRROR = process.env["DEBIAN_MIRROR"] ?? "http://deb.debian.org/debian";
const place = mkdtempSync(join(tmpdir(), "hatchway-debootstrap-"));
const root = join(place, "root");
let lab: Lab;

beforeAll(async () => {
  const [project, out] = [join(place, "project"), join(place, "out")];
  await copyProject(project);
  await makeRelease(project, out, ownTarget());
  tool(["debootstrap", "--variant=minbase", SUITE, root, MIRROR]);
  const [name = ""] = readdirSync(out).filter((file) => file.endsWith(ownTarget()));
  linkOrCopy(join(out, name), join(root, PROGRAM));
  lab = createLab({ natRules: false });
}, TIMEOUT_MS);
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

test("on Debian as debootstrap makes it a visitor reaches a service through the executable", async () => {
  // It is that system, and it has no other program that could help.
  expect(readFileSync(join(root, "etc/debian_version"), "utf8")).toMatch(/^\d+\.\d+\n$/);
  for (const helper of [
    "usr/bin/node",
    "usr/bin/bun",
    "usr/bin/openssl",
    "usr/bin/curl",
    "etc/ssl/certs/ca-certificates.crt",
  ]) {
    expect({ helper, isThere: existsSync(join(root, helper)) }).toEqual({ helper, isThere: false });
  }
  await doesItsJob(lab, root);
});
