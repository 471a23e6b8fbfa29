import { describe, expect, test } from "bun:test";
import { chmod, mkdir, rm, stat } from "node:fs/promises";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { DEFAULT_OPTIONS, type ForwardSpec, partOf } from "../core/forward.ts";
import { replaceFile } from "../os/files.ts";
import { dataPaths } from "../os/paths.ts";
import { type AgentState, type Enrolment, openAgentState } from "./agent-state.ts";

const ENROLMENT: Enrolment = {
  relay: { host: "relay.example.com", port: 7744 },
  trust: "pinned",
  fingerprint: Uint8Array.from({ length: 32 }, (_, at) => at),
  deviceName: "web1",
};
const remote = (id: string, name = id): ForwardSpec => ({
  kind: "remote",
  to: "127.0.0.1",
  remote: {
    id,
    name,
    group: null,
    ports: [{ protocol: "udp", first: 0, last: 9, internalFirst: 4000 }],
    options: { ...DEFAULT_OPTIONS, healthCheck: { intervalSec: 5, timeoutSec: 2, failures: 3 } },
    enabled: true,
    lifetimeSec: null,
  },
});
const SOCKS: ForwardSpec = {
  kind: "local",
  local: {
    id: "socks",
    name: "socks",
    type: "dynamic",
    bind: "127.0.0.1",
    ports: [{ protocol: "tcp", first: 1080, last: 1080, internalFirst: 1080 }],
    to: null,
    via: { kind: "agent", device: "home" },
    credentials: { username: "u", password: "p" },
    options: DEFAULT_OPTIONS,
    enabled: true,
  },
};

async function open(directory: string): Promise<AgentState> {
  const opened = await openAgentState(directory);
  if (!opened.ok) throw new Error(opened.error.message);
  return opened.value;
}

describe("the agent's state", () => {
  test("begins empty and lasts, mode 0600", async () => {
    await using directory = await temporaryDirectory();
    const state = await open(directory.path);
    expect(state.enrolment()).toBeNull();
    expect(state.managed()).toBe(false);
    expect(state.forwards()).toEqual([]);
    await state.enrol(ENROLMENT);
    await state.setManaged(true);
    await state.put(remote("a"));
    await state.put(SOCKS);
    const again = await open(directory.path);
    expect(again.enrolment()).toEqual(ENROLMENT);
    expect(again.managed()).toBe(true);
    expect(again.forwards()).toEqual([remote("a"), SOCKS]);
    expect((await stat(dataPaths(directory.path).agentState)).mode & 0o777).toBe(0o600);
  });

  test("a relay with a public certificate needs no fingerprint", async () => {
    await using directory = await temporaryDirectory();
    const enrolment: Enrolment = { ...ENROLMENT, trust: "public-ca", fingerprint: null };
    await (await open(directory.path)).enrol(enrolment);
    expect((await open(directory.path)).enrolment()).toEqual(enrolment);
  });

  test("a forward is replaced in its place, and removed once", async () => {
    await using directory = await temporaryDirectory();
    const state = await open(directory.path);
    for (const id of ["a", "b", "c"]) await state.put(remote(id));
    await state.put(remote("b", "new"));
    expect(await state.remove("a")).toEqual({ ok: true, value: true });
    expect(await state.remove("a")).toEqual({ ok: true, value: false });
    expect((await open(directory.path)).forwards()).toEqual([remote("b", "new"), remote("c")]);
  });

  test("changes at once follow one another", async () => {
    await using directory = await temporaryDirectory();
    const state = await open(directory.path);
    const ids = Array.from({ length: 10 }, (_, at) => `f${at}`);
    await Promise.all([...ids.map((id) => state.put(remote(id))), state.remove("f0"), state.enrol(ENROLMENT)]);
    const again = await open(directory.path);
    expect(again.forwards().map((forward) => partOf(forward).id)).toEqual(ids.slice(1));
    expect(again.enrolment()).toEqual(ENROLMENT);
  });

  test("what cannot be written is told and does not count; the next change works", async () => {
    await using directory = await temporaryDirectory();
    const state = await open(directory.path);
    const path = dataPaths(directory.path).agentState;
    await mkdir(path);
    expect((await state.put(remote("a"))).ok).toBe(false);
    expect(state.forwards()).toEqual([]);
    await rm(path, { recursive: true });
    expect((await state.put(remote("b"))).ok).toBe(true);
    expect((await open(directory.path)).forwards().map((forward) => partOf(forward).id)).toEqual(["b"]);
  });

  test.each<[string, string, string]>([
    ["other text", "not json", "cannot be read"],
    ["half a file", '{"version":1,"enrol', "cannot be read"],
    [
      "a pinned relay without a fingerprint",
      JSON.stringify({ version: 1, enrolment: { ...ENROLMENT, fingerprint: null }, forwards: [] }),
      "at enrolment",
    ],
    ["a forward that is none", '{"version":1,"enrolment":null,"forwards":[{"kind":"remote"}]}', "at forwards.0"],
    ["a newer version", '{"version":2}', "update the program"],
  ])("%s is refused with one sentence and left alone", async (_what, text, words) => {
    await using directory = await temporaryDirectory();
    const path = dataPaths(directory.path).agentState;
    await replaceFile(path, text);
    const opened = await openAgentState(directory.path);
    expect(opened.ok ? "" : opened.error.message).toContain(words);
    expect(await Bun.file(path).text()).toBe(text);
  });

  test("a file that others may read is refused", async () => {
    await using directory = await temporaryDirectory();
    await (await open(directory.path)).enrol(ENROLMENT);
    await chmod(dataPaths(directory.path).agentState, 0o644);
    const opened = await openAgentState(directory.path);
    expect(opened.ok ? null : opened.error.kind).toBe("exposed");
  });
});
