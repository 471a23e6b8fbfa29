import { beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { sockets } from "../../src/dataplanes/io/sockets.ts";
import { testAuthority } from "../fixtures/certificates.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { nodeProgram } from "../library/node.ts";
import { DATAGRAM_CASES } from "./datagrams.ts";
import { SOCKET_CASES, tlsCase } from "./sockets.ts";

let certificate: { readonly cert: string; readonly key: string };
beforeAll(async () => {
  const authority = await testAuthority("nobody's");
  const { certificatePem, keyPem } = await authority.issue({ names: ["somebody.example"] });
  certificate = { cert: certificatePem, key: keyPem };
});

describe("Bun's sockets", () => {
  for (const [name, run] of Object.entries(SOCKET_CASES)) test(name, () => run(sockets));
  test("TLS", () => tlsCase(sockets, certificate));
  for (const [name, run] of Object.entries(DATAGRAM_CASES)) test(`UDP: ${name}`, run);
});

test("the sockets of node:net and node:dgram, on Node", async () => {
  await using directory = await temporaryDirectory();
  await Bun.build({
    entrypoints: [join(import.meta.dir, "sockets-on-node.ts")],
    outdir: directory.path,
    naming: "cases.mjs",
    target: "node",
  });
  const program = spawn(nodeProgram(), [join(directory.path, "cases.mjs"), JSON.stringify(certificate)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const cases = Object.keys(SOCKET_CASES).length + Object.keys(DATAGRAM_CASES).length + 1;
  expect(JSON.parse(await text(program.stdout))).toEqual({ cases, failures: {} });
}, 20_000);
