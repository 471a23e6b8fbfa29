import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab } from "../../../test/fixtures/api-lab.ts";
import type { Forward, Problem } from "./schema.ts";

/** Sites in the requests and answers of the API: what contract.test.ts looks at for every operation, with names. */
let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

const LOGINS = [{ user: "guest", password: "swordfish" }];
const site = (more: object = {}) => ({ device: "den", ports: "8080", host: ["app.example.org"], ...more });
const add = (who: string, body: object) => lab.send("POST", "/v1/forwards", lab.session(who), body);
const change = (who: string, id: string, body: object) =>
  lab.send("PATCH", `/v1/forwards/${id}`, lab.session(who), body);

test("a site is made with all that it may have, and no password comes back", async () => {
  const made = await add("uwe", site({ tls: "end", http2: true, logins: LOGINS, allow: ["192.0.2.0/24"] }));
  const text = await made.text();
  const { id, site: shown } = JSON.parse(text) as Forward;
  expect(shown).toEqual({ hosts: ["app.example.org"], tls: "end", http2: true, users: ["guest"] });
  const listed = await (await lab.fetch("/v1/forwards", { headers: lab.session("uwe") })).text();
  const changed = await change("uwe", id, {
    logins: [{ user: "guest" }, { user: "ann", password: "trout" }],
    tls: "off",
  });
  const after = await changed.text();
  expect(JSON.parse(after)).toMatchObject({ site: { tls: "off", users: ["guest", "ann"] } });
  expect(`${text}${listed}${after}`).not.toMatch(/swordfish|trout/);
});

describe("bad input is told by field:", () => {
  test.each<[string, object, string]>([
    ["no name", { host: [] }, "host"],
    ["a name that is no list", { host: "app.example.org" }, "host"],
    ["too many names", { host: Array.from({ length: 101 }, (_, n) => `a${n}.example.org`) }, "host"],
    ["another way to have TLS", { tls: "maybe" }, "tls"],
    ["http2 in words", { http2: "yes" }, "http2"],
    ["a login without a password", { logins: [{ user: "a" }] }, "logins.0.password"],
    ["a login without a user", { logins: [{ user: "", password: "x" }] }, "logins.0.user"],
    ["a hash beside", { logins: [{ user: "a", password: "x", hash: "y" }] }, "logins.0.hash"],
  ])("%s", async (_name, more, path) => {
    const response = await add("uwe", site(more));
    const { errors = [] } = (await response.json()) as Problem;
    expect([response.status, errors.map((error) => error.path)]).toEqual([400, [path]]);
    expect(lab.calls).toEqual([]);
  });
});

test("a name that is another's is a conflict, at its field", async () => {
  const response = await add("uwe", site({ host: ["taken.example.org"] }));
  expect(response.status).toBe(409);
  expect(await response.json()).toMatchObject({ errors: [{ path: "host" }] });
});

test("who only looks, or whose it is not, changes no site", async () => {
  expect((await add("vera", site())).status).toBe(403);
  expect((await change("vera", "f-1", { tls: "off" })).status).toBe(403);
  expect((await change("uwe", "f-2", { tls: "off" })).status).toBe(404);
});
