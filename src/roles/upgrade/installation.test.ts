import { expect, test } from "bun:test";
import { join } from "node:path";
import { findInstallation, IMAGE_VARIABLE, type Installation, stepsOf } from "./installation.ts";

const ROOT = join(import.meta.dir, "../../..");
const IMAGE = { [IMAGE_VARIABLE]: "1" };
const only = (...paths: string[]) => ({ exists: (path: string) => paths.includes(path) });

test.each<[string, Parameters<typeof findInstallation>, Installation]>([
  [
    "an executable",
    [{}, { kind: "executable", path: "/usr/local/bin/hatchway" }, only().exists],
    { by: "executable", path: "/usr/local/bin/hatchway" },
  ],
  ["that of our image", [IMAGE, { kind: "executable", path: "/hatchway" }, only().exists], { by: "container" }],
  [
    "one that somebody put into a container",
    [{}, { kind: "executable", path: "/hatchway" }, only("/.dockerenv").exists],
    { by: "executable", path: "/hatchway" },
  ],
  [
    "a package of npm",
    [{}, { kind: "package", root: "/srv/app/node_modules/hatchway" }, only().exists],
    { by: "npm", path: "/srv/app/node_modules/hatchway" },
  ],
  [
    "a clone",
    [{}, { kind: "package", root: "/opt/hatchway" }, only("/opt/hatchway/.git").exists],
    { by: "clone", path: "/opt/hatchway" },
  ],
  [
    "files from elsewhere",
    [{}, { kind: "package", root: "/opt/hatchway" }, only().exists],
    { by: "folder", path: "/opt/hatchway" },
  ],
])("%s is told, with steps of its own", (_, given, installation) => {
  expect(findInstallation(...given)).toEqual(installation);
  const steps = stepsOf(installation);
  expect(steps.length).toBeGreaterThan(0);
  if ("path" in installation && installation.by !== "npm") expect(steps.join("\n")).toContain(installation.path);
});

test("this one is where the sources are", () => {
  expect(findInstallation({})).toMatchObject({ path: ROOT });
});
