import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { exampleForward } from "../core/events.fixture.ts";
import { EVERYBODY, type OwnerFilter } from "../core/open-ports.ts";
import { forwardEvents } from "./events.ts";
import { type GluetunSettings, startGluetun } from "./gluetun.ts";

const NOTHING: GluetunSettings = { listen: null, keyFile: null, statusFile: null, owner: EVERYBODY };
const LOOPBACK = { bind: "127.0.0.1", port: 0, hosts: [] };

test("the file and the server show the open ports of one owner, as events come", async () => {
  await using directory = await temporaryDirectory();
  const statusFile = join(directory.path, "forwarded_port");
  await writeFile(statusFile, "1");
  const { log, open } = forwardEvents();
  const owner: OwnerFilter = { kind: "device", device: "attic" };
  const gluetun = await startGluetun({ settings: { listen: LOOPBACK, keyFile: null, statusFile, owner }, open });
  log.subscribe(() => gluetun.changed());
  const attic = exampleForward({ owner: { kind: "device", id: "d1", name: "attic" } });
  const shown = async () => {
    const response = await fetch(`http://127.0.0.1:${gluetun.port}/v1/portforward`);
    return response.json();
  };
  expect(await shown()).toEqual({ port: 0, ports: [] });
  log.append({ event: "opened", forward: exampleForward({ ports: [] }) }, 0);
  log.append({ event: "opened", forward: attic }, 0);
  expect(await shown()).toEqual({ port: 51413, ports: [51413] });
  log.append({ event: "closed", forward: attic, reason: "removed" }, 0);
  expect(await shown()).toEqual({ port: 0, ports: [] });
  log.append({ event: "opened", forward: attic }, 0);
  const { port } = gluetun;
  await gluetun.stop();
  expect(await readFile(statusFile, "utf8")).toBe("");
  expect(
    await fetch(`http://127.0.0.1:${port}/`).then(
      () => "up",
      () => "down",
    ),
  ).toBe("down");
});

test("forwards that were open before it started are shown", async () => {
  const { log, open } = forwardEvents();
  log.append({ event: "opened", forward: exampleForward() }, 0);
  const gluetun = await startGluetun({ settings: { ...NOTHING, listen: LOOPBACK }, open });
  const response = await fetch(`http://127.0.0.1:${gluetun.port}/v1/portforward`);
  expect(await response.json()).toEqual({ port: 51413, ports: [51413] });
  await gluetun.stop();
});

test.each<[string, string, number]>([
  ["others may read it", "sixteen letters!", 0o640],
  ["too short", "short", 0o600],
])("no start with a key file that is not right: %s", async (_what, key, mode) => {
  await using directory = await temporaryDirectory();
  const keyFile = join(directory.path, "key");
  await writeFile(keyFile, key, { mode });
  const { open } = forwardEvents();
  const starting = startGluetun({ settings: { ...NOTHING, listen: LOOPBACK, keyFile }, open });
  expect(
    await starting.then(
      () => null,
      (error: unknown) => error,
    ),
  ).toMatchObject({ kind: "usage" });
});
