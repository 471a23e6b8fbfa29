import { describe, expect, test } from "bun:test";
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

describe("one in another's place", () => {
  const KEY = "a key of more than sixteen bytes";
  const asked = async (port: number | null, key = ""): Promise<number | "down"> =>
    fetch(`http://127.0.0.1:${port}/v1/portforward`, { headers: { "x-api-key": key } }).then(
      ({ status }) => status,
      () => "down",
    );

  test("on the same port, with another key: the file is never empty meanwhile", async () => {
    await using directory = await temporaryDirectory();
    const [keyFile, statusFile] = ["key", "ports"].map((name) => join(directory.path, name));
    await writeFile(keyFile!, KEY, { mode: 0o600 });
    const { log, open } = forwardEvents();
    log.append({ event: "opened", forward: exampleForward() }, 0);
    const settings = { ...NOTHING, listen: LOOPBACK, statusFile: statusFile! };
    const first = await startGluetun({ settings, open });
    const at = { ...LOOPBACK, port: first.port ?? 0 };
    const second = await startGluetun({
      settings: { ...settings, listen: at, keyFile: keyFile! },
      open,
      replaces: first,
    });
    expect(await readFile(statusFile!, "utf8")).toBe("51413");
    expect([second.port, await asked(first.port), await asked(first.port, KEY)]).toEqual([first.port, 401, 200]);
    const third = await startGluetun({ settings: { ...NOTHING, listen: LOOPBACK }, open, replaces: second });
    expect(await readFile(statusFile!, "utf8")).toBe("");
    expect([await asked(second.port, KEY), await asked(third.port)]).toEqual(["down", 200]);
    await third.stop();
  });

  test.each<[string, Partial<GluetunSettings> & { readonly bind?: string; readonly samePort?: true }]>([
    ["its port is another program's", {}],
    ["its key file is not there", { keyFile: "/nowhere/key" }],
    ["its address is not this machine's, at the same port", { bind: "192.0.2.1", samePort: true }],
  ])("that cannot start leaves the first as it was: %s", async (_, { bind = "127.0.0.1", samePort, ...more }) => {
    await using directory = await temporaryDirectory();
    const statusFile = join(directory.path, "ports");
    const { log, open } = forwardEvents();
    log.append({ event: "opened", forward: exampleForward() }, 0);
    using other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const settings = { ...NOTHING, listen: LOOPBACK, statusFile };
    const first = await startGluetun({ settings, open });
    const listen = { ...LOOPBACK, bind, port: samePort === true ? (first.port ?? 0) : other.port };
    // Beyond loopback a server wants a key.
    const keyFile = join(directory.path, "key");
    await writeFile(keyFile, KEY, { mode: 0o600 });
    const starting = startGluetun({ settings: { ...settings, listen, keyFile, ...more }, open, replaces: first });
    const failure = await starting.then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ kind: "usage" });
    expect(await asked(first.port)).toBe(200);
    // What it writes is on the disk when it has stopped.
    await first.stop({ keepFile: true });
    expect(await readFile(statusFile, "utf8")).toBe("51413");
  });
});
