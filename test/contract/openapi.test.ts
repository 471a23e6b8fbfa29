import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import openapiTS, { type OpenAPI3 } from "openapi-typescript";
import { ApiLab } from "../fixtures/api-lab.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";

/** What strangers' programs make of /openapi.json: a validator, and a generator of clients. */
const TSC = join(import.meta.dir, "../../node_modules/typescript/bin/tsc");
const lab = new ApiLab();
afterAll(() => lab.close());

const served = async () => (await (await lab.fetch("/openapi.json")).json()) as Record<string, never>;
const validate = async (document: object) => (await new Validator().validate(document as Record<string, never>)).valid;

describe("/openapi.json", () => {
  test("is OpenAPI 3.1, by the schema of the OpenAPI Initiative", async () => {
    expect(await new Validator().validate(await served())).toEqual({ valid: true });
  });

  test.each<[string, (operation: Record<string, unknown>) => void]>([
    ["an answer without a description", (one) => Object.assign(one, { responses: { 200: {} } })],
    ["a parameter of no place", (one) => Object.assign(one, { parameters: [{ name: "x", in: "air", schema: {} }] })],
    ["a required body that is no boolean", (one) => Object.assign(one, { requestBody: { required: 1, content: {} } })],
    ["an unknown key", (one) => Object.assign(one, { answer: 42 })],
  ])("would not be with %s", async (_what, spoil) => {
    const document = structuredClone(await served()) as unknown as {
      paths: Record<string, Record<string, Record<string, unknown>>>;
    };
    const operation = document.paths["/v1/forwards"]?.["get"];
    if (operation === undefined) throw new Error("the document has no such operation");
    spoil(operation);
    expect(await validate(document)).toBe(false);
  });
});

/** As somebody writes it who has the generated types and openapi-fetch, and nothing of ours. */
const PROGRAM = `
import createClient from "openapi-fetch";
import type { components, paths } from "./hatchway.ts";

declare const process: { readonly argv: readonly string[] };
const [, , baseUrl = "", token = ""] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { authorization: \`Bearer \${token}\` } });

const draft: components["schemas"]["ForwardDraft"] = { device: "den", ports: "8840, 8820", allow: ["192.0.2.0/24"] };
const made = await client.POST("/v1/forwards", { params: { query: { replace: true } }, body: draft });
if (made.error !== undefined) throw new Error(made.error.detail);
const { id } = made.data;
const patched = await client.PATCH("/v1/forwards/{id}", {
  params: { path: { id }, header: { "If-Match": made.response.headers.get("etag") ?? "" } },
  body: { name: "site" },
});
const names: string[] = [];
let cursor: string | null = null;
do {
  const page: { data?: components["schemas"]["ListForwardsReply"] } = await client.GET("/v1/forwards", {
    params: { query: cursor === null ? { limit: 1 } : { limit: 1, cursor } },
  });
  for (const { name, endpoints, leaseEndsMs } of page.data?.items ?? []) {
    const ends: number | null = leaseEndsMs;
    names.push([name, endpoints.length, ends].join(":"));
  }
  cursor = page.data?.next ?? null;
} while (cursor !== null);
const gone = await client.DELETE("/v1/forwards/{id}", { params: { path: { id } } });
const missing = await client.GET("/v1/forwards/{id}", { params: { path: { id } } });
const problem: components["schemas"]["Problem"] | undefined = missing.error;
console.log(JSON.stringify([patched.data?.name, names, gone.response.status, problem?.status]));

// @ts-expect-error a forward needs its ports
({ device: "den" }) satisfies components["schemas"]["ForwardDraft"];
// @ts-expect-error there is no such route
client.GET("/v1/nothing");
// @ts-expect-error the state is one of several words
made.data.state satisfies "ajar";
`;
const GENERATE_MS = 30_000;

test(
  "a client that is generated from it compiles, and asks a real server",
  async () => {
    await using directory = await temporaryDirectory();
    const at = (name: string) => join(directory.path, name);
    await Bun.write(at("hatchway.ts"), await openapiTS((await served()) as unknown as OpenAPI3));
    await Bun.write(at("program.ts"), PROGRAM);
    await Bun.write(at("package.json"), '{ "type": "module" }\n');
    mkdirSync(at("node_modules"));
    for (const name of ["openapi-fetch", "openapi-typescript-helpers"]) {
      symlinkSync(dirname(Bun.resolveSync(`${name}/package.json`, import.meta.dir)), at(`node_modules/${name}`));
    }
    const strict = ["--ignoreConfig", "--noEmit", "--strict", "--noUncheckedIndexedAccess", "--skipLibCheck"];
    const flags = [...strict, "--types", "", "--target", "esnext", "--lib", "esnext,dom", "--module", "esnext"];
    const bundler = ["--moduleResolution", "bundler", "--allowImportingTsExtensions"];
    const compiled = spawnSync(process.execPath, [TSC, ...flags, ...bundler, at("program.ts")], { encoding: "utf8" });
    expect({ status: compiled.status, said: `${compiled.stdout}${compiled.stderr}` }).toEqual({ status: 0, said: "" });

    const token = lab.backend.access.token("uwe", ["forwards"]);
    const program = Bun.spawn([process.execPath, at("program.ts"), lab.url, token], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([program.stdout.text(), program.stderr.text()]);
    expect({ err, out: out === "" ? out : JSON.parse(out) }).toEqual({
      err: "",
      out: ["site", ["web:0:", "site:0:"], 204, 404],
    });
  },
  GENERATE_MS,
);
