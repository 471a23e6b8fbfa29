import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { type RolesLab, rolesLab, tcpAndUdp } from "../fixtures/roles-lab.ts";
import { tcpService } from "../fixtures/services.ts";
import { bundleLibrary, nodeProgram } from "./node.ts";

/**
 * A program ends by itself when all that it opened is closed, or was refused: nothing is left that holds it, and nothing was
 * rejected that nobody heard. The bundle that apps install, on both runtimes.
 */
const HERE = "127.0.0.1";
const START_MS = 60_000;
const STEP_MS = 30_000;
/** How long a program may take from its last line to its end, on a busy machine. */
const LEFT_MS = 5_000;

const HEAD = `
  import { once } from "node:events";
  import { createSocket } from "node:dgram";
  import { connect as dial } from "node:net";
  import * as lib from ${JSON.stringify(join(import.meta.dir, "../../dist/hatchway.mjs"))};
  const { KEY: key, CODE: joinCode, SERVICE, SILENT: silent } = process.env;
  const to = "${HERE}:" + SERVICE;
  const any = { ports: 80, externalPort: "any" };
  const kindOf = (call) => call.then(() => "open", ({ kind }) => kind);
  const visit = async (port) => {
    const visitor = dial(port, "${HERE}").on("error", () => {});
    visitor.write("x");
    await once(visitor, "data");
    return visitor;
  };
`;

const PROGRAMS: Record<string, { readonly code: string; readonly says: string }> = {
  "one of each is closed, with visitors": {
    code: `
      const opened = [
        await lib.expose({ key, ...any }, (socket) => socket.pipe(socket)),
      ];
      await visit(opened[0].endpoints[0].port);
      await opened[0].close();
      const local = await lib.listen({ key, port: 0, protocol: "tcp+udp", to });
      await visit(local.port);
      createSocket("udp4").unref().send("x", local.port, "${HERE}");
      await local.close();
      await (await lib.socks({ key, port: 0 })).close();
      const socket = await lib.connect({ key, host: "${HERE}", port: Number(SERVICE) });
      socket.destroy();
      await once(socket, "close");
      console.log("closed", opened[0].visitors, local.visitors, local.state);`,
    says: "closed 0 0 closed",
  },
  "a relay is closed with all that is open by it": {
    code: `
      const relay = await lib.openRelay({ key });
      const server = await relay.expose(any, (socket) => socket.pipe(socket));
      const udp = await relay.expose({ ports: "80/udp", externalPort: "any" }, { flow: async (flow) => { for await (const one of flow) flow.send(one); } });
      const local = await relay.listen({ port: "0/udp", to });
      await relay.socks({ port: 0 });
      const socket = await relay.connect({ host: "${HERE}", port: Number(SERVICE) });
      await visit(server.endpoints[0].port);
      const visitor = createSocket("udp4");
      visitor.send("x", udp.endpoints[0].port, "${HERE}");
      await once(visitor, "message");
      visitor.close();
      const read = (async () => { for await (const _ of server.events()); for await (const _ of relay.events()); })();
      await relay.close();
      await read;
      console.log(server.state, udp.state, local.state, socket.destroyed, relay.state);`,
    says: "closed closed closed true closed",
  },
  "nothing came about": {
    code: `
      const gone = { key, relay: "${HERE}:1" };
      const slow = { key, relay: "${HERE}:" + silent };
      const soon = () => AbortSignal.timeout(100);
      console.log(
        await kindOf(lib.enrol({ joinCode })),
        await kindOf(lib.openRelay(gone)),
        await kindOf(lib.expose({ ...slow, ...any, signal: soon() })),
        await kindOf(lib.connect({ ...slow, host: "db", port: 1, signal: soon() })),
        await kindOf(lib.connect({ key, host: "${HERE}", port: 1 })),
        await kindOf(lib.listen({ key, port: "192.0.2.77:0", to })),
        await kindOf(lib.listen({ key, port: "192.0.2.77:0/udp", to })),
        await kindOf(lib.expose({ key, ports: 1 }, () => {})),
      );`,
    says: "denied unreachable aborted aborted refused usage usage refused",
  },
};

describe.each<[string, () => string[]]>([
  ["Node", () => [nodeProgram()]],
  ["Bun", () => [process.execPath, "--no-env-file", "--config=/dev/null"]],
])("on %s", (_runtime, command) => {
  let lab: RolesLab;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let service: ReturnType<typeof tcpService>;
  let silence: Server;
  const env: Record<string, string> = {};

  beforeAll(async () => {
    bundleLibrary();
    service = tcpService("db");
    silence = createServer((socket) => void socket.on("error", () => undefined).resume()).listen(0, HERE);
    [lab, directory] = await Promise.all([rolesLab({}, 32), temporaryDirectory()]);
    lab.relaySettings = {
      ...lab.relaySettings,
      allow: [{ host: HERE, ports: tcpAndUdp(service.port, service.port, service.port) }],
    };
    await lab.relay.reload();
    env["SERVICE"] = `${service.port}`;
    env["SILENT"] = `${(silence.address() as { port: number }).port}`;
    const joinCode = await lab.relay.createJoinCode({ name: "app", lifetimeSec: 600 });
    const [program = "", ...args] = command();
    const enrolling = `${HEAD} console.log((await lib.enrol({ joinCode })).key);`;
    writeFileSync(join(directory.path, "enrol.mjs"), enrolling);
    const child = spawn(program, [...args, "enrol.mjs"], { cwd: directory.path, env: { ...env, CODE: joinCode } });
    env["KEY"] = (await text(child.stdout)).trim();
    env["CODE"] = joinCode;
  }, START_MS);
  afterAll(async () => {
    silence.close();
    service[Symbol.dispose]();
    await lab[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  test.each(Object.entries(PROGRAMS))(
    "%s",
    async (name, { code, says }) => {
      // What still holds it is told, where the runtime tells, instead of a test that hangs.
      const held = `setTimeout(() => { console.error("held by", process.getActiveResourcesInfo?.()); process.exit(1); }, ${LEFT_MS}).unref();`;
      const file = `${name.replace(/\W/g, "-")}.mjs`;
      writeFileSync(join(directory.path, file), `${HEAD}\n${code}\n${held}`);
      const [program = "", ...args] = command();
      const child = spawn(program, [...args, file], { cwd: directory.path, env });
      const exited = new Promise((resolve) => child.once("close", resolve));
      expect([await text(child.stdout), await text(child.stderr), await exited]).toEqual([`${says}\n`, "", 0]);
    },
    STEP_MS,
  );
});
