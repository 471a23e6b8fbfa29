import { afterEach, beforeEach, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { serveApi } from "./server.ts";

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

test("a port that is taken is an error with its sentence, and is not shared", () => {
  const second = serveApi(lab.api, { bind: HERE, port: lab.port, tls: null });
  expect(second).toMatchObject({ ok: false, error: { kind: "inUse" } });
});
