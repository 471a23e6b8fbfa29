import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { ApiLab } from "../../../test/fixtures/api-lab.ts";
import { ApiProblem, createClient, everything, type Fetch, isProblem, PROBLEM_TYPES } from "./client.ts";

/** React, the table and the pages share 250 KB: the client may have this of it, before compression. */
const MAX_BUNDLE_BYTES = 8 * 1_024;

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

const tokenClient = (name: string) =>
  createClient({ baseUrl: lab.url, token: lab.backend.access.token(name, ["all"]) });

/** As a browser at our page: it keeps the cookie, and says where it comes from. */
function browser(): Fetch {
  let cookie = "";
  return async (url, init) => {
    const headers = new Headers(init.headers as Record<string, string>);
    headers.set("origin", lab.url);
    if (cookie !== "") headers.set("cookie", cookie);
    const response = await fetch(url, { ...init, headers });
    cookie = response.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    return response;
  };
}

describe("a client", () => {
  test("signs in, changes and signs out as a page does", async () => {
    const client = createClient({ baseUrl: lab.url, fetch: browser() });
    const { me } = await client.signIn({ name: "uwe", password: "a long password" });
    const { code } = await client.makeJoinCode({ name: "nas" });
    await client.signOut();
    expect([me.name, code]).toEqual(["uwe", "HW-nas"]);
    expect(client.getMe()).rejects.toBeInstanceOf(ApiProblem);
  });

  test("takes up a session that goes on", async () => {
    const at = browser();
    const first = createClient({ baseUrl: lab.url, fetch: at });
    const { pageKey } = await first.signIn({ name: "uwe", password: "a long password" });
    const reloaded = createClient({ baseUrl: lab.url, fetch: at, pageKey });
    await reloaded.getSession();
    expect((await reloaded.makeToken({ name: "ci", scopes: ["read"], lifetimeSec: null })).token.name).toBe("ci");
  });

  test("changes a forward of the version that it read", async () => {
    const client = tokenClient("uwe");
    const { value, version } = await client.addForward({ device: "den", ports: "8840" });
    await client.changeForward(value.id, { name: "site" }, version);
    const late = client.changeForward(value.id, { name: "late" }, version);
    const problem = await late.catch((error: unknown) => error);
    expect(isProblem(problem, PROBLEM_TYPES.changed)).toBe(true);
    await client.removeForward(value.id);
    expect((await client.listForwards()).items.map(({ id }) => id)).toEqual(["f-1"]);
  });

  test("sends what is done once", async () => {
    const client = tokenClient("uwe");
    const once = { idempotencyKey: "k" };
    const [first, second] = [
      await client.addForward({ device: "den", ports: "8840" }, once),
      await client.addForward({ device: "den", ports: "8840" }, once),
    ];
    expect(second).toEqual(first);
  });

  test("walks a list to its end", async () => {
    const names: string[] = [];
    const client = tokenClient("ada");
    for await (const { name } of everything((ask) => client.listUsers({ ...ask, limit: 3 }))) names.push(name);
    expect(names).toEqual(["ada", "uwe", "vera", "otto"]);
  });

  test("asks for ids of any form", async () => {
    const problem = await tokenClient("ada")
      .getForward("a/b?c#d %")
      .catch((error: unknown) => error);
    expect([problem instanceof ApiProblem && problem.problem.status, lab.calls]).toEqual([
      404,
      ["forwards.getForward"],
    ]);
  });

  test("tells a proxy's answer from the server's", async () => {
    const fetch: Fetch = async () =>
      new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "retry-after": "7" } });
    const problem = await createClient({ baseUrl: lab.url, fetch })
      .getMe()
      .catch((error: unknown) => error);
    expect(problem).toMatchObject({ problem: { status: 502 }, retryAfterSec: 7 });
  });

  test("follows no redirect with its token", async () => {
    const stranger = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.redirect(`${lab.url}/v1/me`) });
    const client = createClient({ baseUrl: `http://127.0.0.1:${stranger.port}`, token: "secret" });
    expect(client.getMe()).rejects.toThrow();
    await stranger.stop(true);
    expect(lab.calls).toEqual([]);
  });

  test("tells when a stream is open: what happens from then on comes by it", async () => {
    const told: string[] = [];
    const events = tokenClient("uwe").events({
      onOpen: () => {
        told.push("open");
        void lab.backend.forwards
          .followed(1)
          .then(() => lab.backend.forwards.emit({ event: "forward-gone", id: "f-9" }));
      },
    });
    for await (const { event } of events) {
      told.push(event);
      break;
    }
    expect(told).toEqual(["open", "forward-gone"]);
    const refused = createClient({ baseUrl: lab.url }).events({ onOpen: () => told.push("open again") });
    expect(await refused.next().catch((error: unknown) => error instanceof ApiProblem)).toBe(true);
    expect(told).toHaveLength(2);
  });

  test("is small, and without the schemas", async () => {
    const built = await Bun.build({
      entrypoints: [join(import.meta.dir, "client.ts")],
      target: "browser",
      minify: true,
    });
    const text = (await built.outputs[0]?.text()) ?? "";
    expect([built.success, text.includes("safeParse")]).toEqual([true, false]);
    expect(text.length).toBeLessThan(MAX_BUNDLE_BYTES);
  });
});
