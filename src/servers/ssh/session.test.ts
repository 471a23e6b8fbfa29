import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client, ClientChannel, PseudoTtyOptions } from "ssh2";
import { FORBIDDEN, FORBIDDEN_PORT, startTestServer, type TestServer } from "../../../test/fixtures/ssh-server.ts";
import { eventually } from "../../../test/netns/ready.ts";

/** What people read: in a session, and when something is refused or ends. */
let server: TestServer;
beforeAll(() => {
  server = startTestServer();
});
afterAll(() => server[Symbol.dispose]());

const channelOf = (ask: (told: (error: Error | undefined, channel: ClientChannel) => void) => void) =>
  new Promise<ClientChannel>((resolve, reject) =>
    ask((error, channel) => (error === undefined ? resolve(channel) : reject(error))),
  );

/** All that a session says until it ends. Who listens later than it is there misses it. */
async function heard(ask: (told: (error: Error | undefined, channel: ClientChannel) => void) => void) {
  let out = "";
  let error = "";
  let status = null as number | null;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  ask((failure, channel) => {
    if (failure !== undefined) return reject(failure);
    channel.on("data", (bytes: Buffer) => {
      out += bytes.toString();
    });
    channel.stderr.on("data", (bytes: Buffer) => {
      error += bytes.toString();
    });
    channel.once("exit", (code: number) => {
      status = code;
    });
    channel.once("close", () => resolve());
  });
  await promise;
  return { out, error, status };
}

/** The first words of a session. */
async function firstWords(channel: ClientChannel): Promise<string> {
  return await new Promise((resolve) => channel.once("data", (bytes: Buffer) => resolve(bytes.toString())));
}

const refusal = (client: Client, port: number) =>
  new Promise<string>((resolve) => client.forwardIn("", port, (error) => resolve(error?.message ?? "granted")));

describe("what is not done here is refused in one sentence, with a status that says so", () => {
  test.each<[string, PseudoTtyOptions | false, string]>([
    ["a command", false, "No commands are run here"],
    ["a command on a terminal", { term: "xterm", cols: 80, rows: 24 }, "No commands are run here"],
  ])("%s", async (_, pty, sentence) => {
    using one = await server.reach("ready");
    const options = pty === false ? {} : { pty };
    const { out, error, status } = await heard((told) => one.client.exec("id", options, told));
    expect({ out, status }).toEqual({ out: "", status: 1 });
    expect(error).toStartWith(sentence);
    expect(error).toEndWith(pty === false ? ".\n" : ".\r\n");
  });

  test("files", async () => {
    using one = await server.reach("ready");
    const files = await heard((told) => one.client.subsys("sftp", told));
    expect(files).toMatchObject({ error: expect.stringContaining("No files are kept"), status: 1 });
  });

  test("and forwards of the connection go on", async () => {
    using one = await server.reach("ready");
    await heard((told) => one.client.exec("id", told));
    expect(await refusal(one.client, 8080)).toBe("granted");
  });
});

describe("why a port was refused", () => {
  test("is told by the session that is opened after it, once", async () => {
    using one = await server.reach("ready");
    expect(await refusal(one.client, FORBIDDEN_PORT)).not.toBe("granted");
    const told = [1, 2].map(async () => firstWords(await channelOf((answer) => one.client.shell(false, answer))));
    const [first, second] = await Promise.all(told);
    expect(first).toStartWith(`Refused: ${FORBIDDEN}\n`);
    expect(second).not.toContain(FORBIDDEN);
  });

  test("is a debug message, for a client without a session", async () => {
    using one = await server.reach("ready");
    const { _protocol } = one.client as unknown as { _protocol: { _handlers: Record<string, unknown> } };
    const words: string[] = [];
    _protocol._handlers["DEBUG"] = (_: unknown, _shown: boolean, text: string) => void words.push(text);
    await refusal(one.client, FORBIDDEN_PORT);
    expect(words).toEqual([`Refused: ${FORBIDDEN}`]);
  });
});

test("a connection that the relay ends is told why", async () => {
  using one = await server.reach("ready");
  const { _protocol } = one.client as unknown as { _protocol: { _handlers: Record<string, unknown> } };
  const words: string[] = [];
  _protocol._handlers["DISCONNECT"] = (_: unknown, _code: number, text: string) => void words.push(text);
  server.connections.at(-1)?.close("its key was removed");
  await eventually("the last words", async () => words[0]);
  expect(words).toEqual(["The relay ends the connection: its key was removed."]);
});

test("the line of counters is never wider than the terminal, whose user changes it", async () => {
  using one = await server.reach("ready");
  const channel = await channelOf((told) => one.client.shell({ term: "xterm", cols: 20, rows: 24 }, told));
  let text = "";
  channel.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  const lineOf = (columns: number) =>
    eventually(`a line of ${columns}`, async () =>
      text.split("\u001b[2K").find((line) => line.length === columns - 1) ? true : undefined,
    );
  await lineOf(20);
  channel.setWindow(24, 10, 0, 0);
  await lineOf(10);
});
