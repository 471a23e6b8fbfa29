import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab } from "../../../test/fixtures/api-lab.ts";

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

interface List {
  readonly items: readonly { readonly id: string }[];
  readonly next: string | null;
}

describe("a forward's version", () => {
  const etagOf = async () =>
    (await lab.fetch("/v1/forwards/f-1", { headers: lab.session("uwe") })).headers.get("etag") ?? "";
  const change = (match: string | null, name = "site") =>
    lab.send(
      "PATCH",
      "/v1/forwards/f-1",
      { ...lab.session("uwe"), ...(match === null ? {} : { "if-match": match }) },
      { name },
    );

  test("changes with it, and a change of another version is refused", async () => {
    const before = await etagOf();
    const changed = await change(before);
    const after = changed.headers.get("etag");
    expect([changed.status, after === before, after]).toEqual([200, false, await etagOf()]);
    const late = await change(before, "late");
    expect([late.status, ((await late.json()) as { type: string }).type]).toEqual([412, "urn:hatchway:changed"]);
    expect(lab.backend.forwards.all.get("f-1")?.name).toBe("site");
  });

  for (const [name, match, status] of [
    ["absent: whatever it is", null, 200],
    ["*: whatever it is", "*", 200],
    ["weak: never", 'W/"v1"', 412],
    ["several", '"v1", "v2"', 412],
    ["without quotes", "v1", 412],
    ["not in percent-encoding", '"%zz"', 412],
  ] as const) {
    test(`${name}: ${status}`, async () => {
      expect((await change(match)).status).toBe(status);
    });
  }

  test("holds for removing as well", async () => {
    const stale = await etagOf();
    await change(null);
    const remove = (match: string) =>
      lab.fetch("/v1/forwards/f-1", { method: "DELETE", headers: { ...lab.session("uwe"), "if-match": match } });
    expect([(await remove(stale)).status, (await remove(await etagOf())).status]).toEqual([412, 204]);
  });

  test("and its place are told when it is made", async () => {
    const made = await lab.send("POST", "/v1/forwards", lab.session("uwe"), { device: "den", ports: "8840" });
    const { id } = (await made.json()) as { id: string };
    expect([made.status, made.headers.get("location"), made.headers.get("etag")]).toEqual([
      201,
      `/v1/forwards/${id}`,
      '"v1"',
    ]);
  });
});

describe("an idempotency key", () => {
  const draft = { device: "den", ports: "8840" };
  const add = (key: string, body: object = draft, headers = lab.token("uwe", "forwards")) =>
    lab.send("POST", "/v1/forwards", { ...headers, "idempotency-key": key }, body);
  const made = () => lab.calls.filter((call) => call === "forwards.addForward").length;

  test("makes one of two, with the same answer", async () => {
    const first = await add("k");
    const second = await add("k");
    expect([made(), second.status, second.headers.get("etag"), second.headers.get("location")]).toEqual([
      1,
      201,
      first.headers.get("etag"),
      first.headers.get("location"),
    ]);
    expect(await second.text()).toBe(await first.text());
  });

  test("makes one of many at once", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => add("k")));
    const texts = new Set(await Promise.all(answers.map((answer) => answer.text())));
    expect([made(), texts.size]).toEqual([1, 1]);
  });

  test("with another body or for another route is refused", async () => {
    await add("k");
    expect((await add("k", { ...draft, ports: "8841" })).status).toBe(422);
    const headers = { ...lab.token("uwe", "all"), "idempotency-key": "k" };
    expect((await lab.send("POST", "/v1/join-codes", headers, { name: "nas" })).status).toBe(422);
    expect(made()).toBe(1);
  });

  test("of another person is another", async () => {
    await add("k");
    expect((await add("k", { device: "loft", ports: "1" }, lab.token("otto", "forwards"))).status).toBe(201);
  });

  test("does not go before who may", async () => {
    await add("k");
    expect((await add("k", draft, lab.token("uwe", "read"))).status).toBe(403);
  });

  test("of what was refused is free again", async () => {
    expect((await add("k", { device: "none", ports: "1" })).status).toBe(404);
    expect((await add("k")).status).toBe(201);
  });

  test("is kept for a day", async () => {
    await add("k");
    lab.nowMs += 24 * 3_600_000;
    await add("k");
    expect(made()).toBe(2);
  });

  test("has visible characters", async () => {
    for (const key of ["a b", "x".repeat(256)]) expect((await add(key)).status).toBe(400);
    expect(made()).toBe(0);
  });
});

describe("lists", () => {
  const list = async (path: string, name = "ada") =>
    (await (await lab.fetch(path, { headers: lab.session(name) })).json()) as List;

  test("come in pages, each item once", async () => {
    const ids: string[] = [];
    let path = "/v1/users?limit=3";
    let pages = 0;
    while (path !== "") {
      const { items, next } = await list(path);
      ids.push(...items.map(({ id }) => id));
      path = next === null ? "" : `/v1/users?limit=3&cursor=${next}`;
      pages++;
    }
    expect([pages, ids]).toEqual([2, ["u-ada", "u-uwe", "u-vera", "u-otto"]]);
  });

  test("have what is the asker's own", async () => {
    expect((await list("/v1/forwards", "otto")).items.map(({ id }) => id)).toEqual(["f-2"]);
    expect((await list("/v1/forwards", "vera")).items.map(({ id }) => id)).toEqual(["f-1"]);
  });

  test("are filtered", async () => {
    expect((await list("/v1/forwards?device=loft")).items.map(({ id }) => id)).toEqual(["f-2"]);
    expect((await list("/v1/forwards?text=we")).items.map(({ id }) => id)).toEqual(["f-1"]);
  });

  test("of presets are searched", async () => {
    expect((await list("/v1/presets?q=minecraft")).items).toHaveLength(1);
    expect((await list("/v1/presets?q=zzz")).items).toHaveLength(0);
    expect((await list("/v1/presets?q=")).items).toHaveLength(1);
  });
});

describe("scopes", () => {
  for (const [scope, statuses] of [
    ["read", [200, 403, 403]],
    ["forwards", [200, 201, 403]],
    ["all", [200, 201, 201]],
  ] as const) {
    test(scope, async () => {
      const headers = lab.token("uwe", scope);
      expect([
        (await lab.fetch("/v1/devices", { headers })).status,
        (await lab.send("POST", "/v1/forwards", headers, { device: "den", ports: "1" })).status,
        (await lab.send("POST", "/v1/join-codes", headers, { name: "nas" })).status,
      ]).toEqual([...statuses]);
    });
  }

  test("of a token do not go beyond the role of its owner", async () => {
    const headers = lab.token("vera", "all");
    expect((await lab.send("POST", "/v1/forwards", headers, { device: "den", ports: "1" })).status).toBe(403);
    expect((await lab.fetch("/v1/users", { headers })).status).toBe(403);
  });

  test("are told to the token's holder", async () => {
    const me = await (await lab.fetch("/v1/me", { headers: lab.token("uwe", "read") })).json();
    expect(me).toMatchObject({ name: "uwe", token: { scopes: ["read"] } });
  });
});

describe("the console's files", () => {
  const html = { accept: "text/html,*/*" };

  for (const [path, headers, status, type] of [
    ["/", html, 200, "text/html; charset=utf-8"],
    ["/index.html", {}, 200, "text/html; charset=utf-8"],
    ["/forwards/f-1", html, 200, "text/html; charset=utf-8"],
    ["/forwards/f-1", { accept: "application/json" }, 404, "application/problem+json"],
    ["/assets/gone.js", html, 404, "application/problem+json"],
    ["/v1/none", html, 404, "application/problem+json"],
    ["/v1", html, 404, "application/problem+json"],
    ["/favicon.ico", html, 404, "application/problem+json"],
  ] as const) {
    test(`${path}: ${status}`, async () => {
      const response = await lab.fetch(path, { headers });
      expect([response.status, response.headers.get("content-type")]).toEqual([status, type]);
    });
  }

  test("whose names have their content are kept for ever, and the page is asked for", async () => {
    const [file, page] = await Promise.all([lab.fetch("/assets/app-0a1b2c3d.js"), lab.fetch("/", { headers: html })]);
    expect([file.headers.get("cache-control"), page.headers.get("cache-control")]).toEqual([
      "public, max-age=31536000, immutable",
      "no-cache",
    ]);
  });

  for (const [accepted, encoding] of [
    ["gzip, deflate, br", "br"],
    ["gzip", "gzip"],
    ["br;q=0, gzip", "gzip"],
    ["identity", null],
  ] as const) {
    test(`for ${accepted}: ${encoding}`, async () => {
      const response = await lab.fetch("/assets/app-0a1b2c3d.js", { headers: { "accept-encoding": accepted } });
      expect([response.headers.get("content-encoding"), response.headers.get("vary"), await response.text()]).toEqual([
        encoding,
        "accept-encoding",
        "let app",
      ]);
    });
  }

  test("that the browser has are not sent again", async () => {
    const etag = (await lab.fetch("/", { headers: html })).headers.get("etag") ?? "";
    const again = await lab.fetch("/", { headers: { ...html, "if-none-match": etag } });
    expect([again.status, await again.text(), again.headers.get("x-content-type-options")]).toEqual([
      304,
      "",
      "nosniff",
    ]);
  });

  test("are read, and not written", async () => {
    const head = await lab.fetch("/", { method: "HEAD", headers: html });
    const post = await lab.fetch("/", { method: "POST", headers: html, body: "x" });
    expect([head.status, await head.text(), post.status, post.headers.get("allow")]).toEqual([
      200,
      "",
      405,
      "GET, HEAD",
    ]);
  });

  test("may be none, and the API is there", async () => {
    await lab.close();
    lab = new ApiLab({ files: new Map() });
    expect((await lab.fetch("/", { headers: html })).status).toBe(404);
    expect((await lab.fetch("/v1/setup")).status).toBe(200);
  });
});
