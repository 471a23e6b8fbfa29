import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ApiLab } from "../../../test/fixtures/api-lab.ts";
import { z } from "../../wire/zod.ts";
import { createClient } from "./client.ts";
import { PAGE_KEY_HEADER, PASSPHRASE_HEADER } from "./protocol.ts";
import { OPERATIONS } from "./routes.ts";
import { Problem } from "./schema.ts";

/** Of an operation: what makes it succeed for ada, and which object of `others` it must not show to uwe. */
interface Example {
  readonly body?: unknown;
  /** Instead of a body. */
  readonly file?: string;
  readonly id?: (lab: ApiLab) => string;
  readonly others?: (lab: ApiLab) => string;
}

const passkey = (lab: ApiLab, userId: string) => {
  lab.backend.access.passkeys.set("p", {
    passkey: { id: "p", name: "key", createdMs: 0, lastUsedMs: null },
    userId,
  });
  return "p";
};
const sessionId = (lab: ApiLab, name: string) =>
  lab.backend.access.sessions.get(lab.backend.access.begin(name).secret)?.id ?? "";
const tokenId = (lab: ApiLab, name: string) =>
  lab.backend.access.tokens.get(lab.backend.access.token(name, ["read"]))?.token.id ?? "";
const invite = (lab: ApiLab) => {
  const [account, createdMs, expiresMs] = [null, 0, 1];
  lab.backend.access.invites.set("i", { id: "i", role: "user", account, createdMs, expiresMs });
  return "i";
};
const forward = { id: () => "f-1", others: () => "f-2" };
const device = { id: () => "d-1", others: () => "d-2" };
const sshKey = { id: () => "SHA256:den@home/+", others: () => "SHA256:loft@home/+" };
const peer = { id: () => "p-1", others: () => "p-2" };
const keys = { publicKey: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", presharedKey: null };
const answer = { challengeId: "challenge-1", response: { id: "x" } };

const EXAMPLES: Readonly<Record<string, Example>> = {
  getSetup: {},
  getSession: {},
  signIn: { body: { name: "ada", password: "a long password" } },
  signOut: {},
  beginPasskeySignIn: {},
  signInByPasskey: { body: answer },
  redeem: { body: { token: "one-time", name: "nina", password: "a long password" } },
  getMe: {},
  changePassword: { body: { current: "a long password", next: "another password" } },
  beginTotp: {},
  confirmTotp: { body: { code: "123456" } },
  removeTotp: { body: { password: "a long password" } },
  listPasskeys: {},
  beginPasskey: {},
  addPasskey: { body: answer },
  removePasskey: { id: (lab) => passkey(lab, "u-ada"), others: (lab) => passkey(lab, "u-otto") },
  listSessions: {},
  endSession: { id: (lab) => sessionId(lab, "ada"), others: (lab) => sessionId(lab, "otto") },
  listTokens: {},
  makeToken: { body: { name: "ci", scopes: ["read"], lifetimeSec: null } },
  removeToken: { id: (lab) => tokenId(lab, "ada"), others: (lab) => tokenId(lab, "otto") },
  listUsers: {},
  changeUser: { body: { role: "viewer" }, id: () => "u-uwe" },
  removeUser: { id: () => "u-uwe" },
  listInvites: {},
  makeInvite: { body: { role: "user" } },
  removeInvite: { id: invite },
  listForwards: {},
  addForward: { body: { device: "den", ports: "8840, 8820" } },
  previewForward: { body: { device: "den", ports: "8810-8815" } },
  getForward: forward,
  changeForward: { body: { name: "site" }, ...forward },
  removeForward: forward,
  checkForward: forward,
  pingForward: forward,
  checkName: { body: { host: "app.example.org" } },
  askRouter: {},
  listDevices: {},
  getDevice: device,
  removeDevice: device,
  getSsh: {},
  listSshKeys: {},
  addSshKey: { body: { key: "ssh-ed25519 AAAA ada@laptop", device: "den" } },
  removeSshKey: sshKey,
  makeJoinCode: { body: { name: "nas" } },
  getVpn: {},
  changeVpn: { body: { endpointHost: "vpn.example" } },
  listVpnPeers: {},
  addVpnPeer: { body: { name: "laptop", ...keys, mode: "only", ports: "8840" } },
  getVpnPeer: peer,
  changeVpnPeer: { body: { mode: "only", ports: "8840" }, ...peer },
  rotateVpnPeer: { body: keys, ...peer },
  removeVpnPeer: { id: () => "p-1" },
  listTriggers: {},
  addTrigger: { body: { name: "dcc", out: "6667", in: "113" } },
  removeTrigger: { id: () => "irc" },
  getOverview: {},
  getTraffic: {},
  listVisits: {},
  endVisit: { id: () => "v-1", others: () => "v-2" },
  listAudit: {},
  getSettings: {},
  reload: {},
  makeBackup: { body: { passphrase: "correct horse battery" } },
  getRestore: {},
  checkRestore: { file: "sealed" },
  stageRestore: {},
  discardRestore: {},
  listPresets: {},
  events: {},
};

const shared = new ApiLab();
afterAll(() => shared.close());
const { document } = shared.api;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    ...operation,
    path,
    method: method.toUpperCase(),
    title: `${method.toUpperCase()} ${path}`,
    need: operation["x-hatchway-need"],
    example: EXAMPLES[operation.operationId] ?? {},
  })),
);
type Row = (typeof operations)[number];

const pathWith = (path: string, id: string) => path.replace("{id}", encodeURIComponent(id));

let lab: ApiLab;
beforeEach(() => {
  lab = new ApiLab();
});
afterEach(() => lab.close());

const send = (row: Row, headers: Record<string, string>, id = row.example.id?.(lab) ?? "none") => {
  const { body, file } = row.example;
  const path = pathWith(row.path, id);
  if (file === undefined) return lab.send(row.method, path, headers, body);
  const about = { "content-type": "application/octet-stream", [PASSPHRASE_HEADER]: "cGFzc3BocmFzZQ" };
  return lab.fetch(path, { method: row.method, headers: { ...about, ...headers }, body: file });
};

/** Of a problem: the status, after its form was looked at. */
async function problem(response: Response): Promise<z.infer<typeof Problem>> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body = Problem.parse(await response.json());
  expect([body.status, body.detail.endsWith(".")]).toEqual([response.status, true]);
  return body;
}

/** A validator from the document, with nothing of the schemas that the server was made of. */
function fromDocument(reference: string) {
  const $defs = JSON.parse(JSON.stringify(document.components.schemas).replaceAll("#/components/schemas/", "#/$defs/"));
  return z.fromJSONSchema({ $ref: reference.replace("#/components/schemas/", "#/$defs/"), $defs });
}

test("there is an example for each operation, and no other", () => {
  expect(Object.keys(EXAMPLES).toSorted()).toEqual(operations.map(({ operationId }) => operationId).toSorted());
});

test("the client has a method for each operation", () => {
  const methods = Object.keys(createClient({ baseUrl: "" })).filter((name) => name !== "auditLines");
  expect(methods.toSorted()).toEqual(operations.map(({ operationId }) => operationId).toSorted());
});

describe("success is what the document says:", () => {
  for (const row of operations.filter(
    ({ responses }) => responses["200"]?.content?.["text/event-stream"] === undefined,
  )) {
    test(row.title, async () => {
      const response = await send(row, lab.session("ada"));
      const [status = "", described] = Object.entries(row.responses)[0] ?? [];
      expect([String(response.status), lab.unexpected]).toEqual([status, []]);
      const [type, content] = Object.entries(described?.content ?? {})[0] ?? [];
      if (type === undefined) {
        expect(await response.text()).toBe("");
      } else {
        expect(response.headers.get("content-type")).toBe(type);
        if (content?.schema.format === "binary") {
          expect((await response.bytes()).length).toBeGreaterThan(0);
          return;
        }
        const body = await response.json();
        expect(fromDocument(content?.schema.$ref ?? "").safeParse(body).error).toBeUndefined();
      }
    });
  }
});

describe("bad input is told by field:", () => {
  for (const row of operations.filter(({ requestBody }) => requestBody?.content?.["application/json"] !== undefined)) {
    test(row.title, async () => {
      const path = pathWith(row.path, row.example.id?.(lab) ?? "none");
      const headers = { "content-type": "application/json", ...lab.session("ada") };
      const post = (body: string, type = "application/json") =>
        lab.fetch(path, { method: row.method, headers: { ...headers, "content-type": type }, body });
      const wrong = await problem(await post('{"surprise":1}'));
      expect([wrong.status, wrong.errors?.map((error) => error.path)]).toEqual([
        400,
        expect.arrayContaining(["surprise"]),
      ]);
      for (const body of ["", "{", '{"name":', "null", "[]", "7", "[".repeat(100_000)]) {
        expect((await problem(await post(body))).status).toBe(400);
      }
      expect((await problem(await post("{}", "text/plain"))).status).toBe(415);
      expect(lab.calls.filter((call) => call !== "access.me")).toEqual([]);
    });
  }

  for (const row of operations.filter(({ parameters }) => parameters.some(({ name }) => name === "limit"))) {
    for (const query of ["limit=0", "limit=501", "limit=x", `cursor=${"c".repeat(513)}`, "limit=1&limit=2"]) {
      test(`${row.title}?${query.slice(0, 20)}`, async () => {
        expect((await problem(await lab.fetch(`${row.path}?${query}`, { headers: lab.session("ada") }))).status).toBe(
          400,
        );
      });
    }
  }
});

describe("no or a wrong credential:", () => {
  for (const row of operations.filter(({ need }) => need !== null)) {
    test(row.title, async () => {
      const wrong: Record<string, string>[] = [
        {},
        { cookie: "hatchway=guess" },
        { cookie: "hatchway=guess", [PAGE_KEY_HEADER]: "guess" },
        { authorization: "Bearer guess" },
        { authorization: "Basic YWRhOmE=" },
        // A wrong token is not made up for by a session.
        { ...lab.session("ada"), authorization: "Bearer guess" },
      ];
      const details = new Set<string>();
      for (const headers of wrong) {
        const response = await send(row, headers);
        expect([response.status, response.headers.get("www-authenticate")]).toEqual([
          401,
          expect.stringContaining("Bearer"),
        ]);
        details.add((await problem(response)).detail);
      }
      expect([details.size, lab.calls]).toEqual([1, []]);
    });
  }
});

describe("a wrong role or scope:", () => {
  const names = { admin: "ada", user: "uwe", viewer: "vera" } as const;
  const scopes = ["read", "forwards", "all"] as const;
  for (const row of operations) {
    const { need } = row;
    if (need === null) continue;
    test(row.title, async () => {
      for (const role of ["admin", "user", "viewer"] as const) {
        if (need.roles.includes(role)) continue;
        expect((await problem(await send(row, lab.session(names[role])))).status).toBe(403);
      }
      const enough = need.scope === "person" ? scopes.length : scopes.indexOf(need.scope);
      for (const scope of scopes.slice(0, enough)) {
        expect((await problem(await send(row, lab.token("ada", scope)))).status).toBe(403);
      }
      expect(lab.calls).toEqual([]);
    });
  }

  test("a viewer changes nothing that is not their own", () => {
    const own = operations.filter(({ tags }) => tags.includes("Me") || tags.includes("Session"));
    const changes = operations.filter((row) => row.method !== "GET" && !own.includes(row));
    expect(changes.filter(({ need }) => need?.roles.includes("viewer") !== false)).toEqual([]);
  });

  test("only signing in, the link and whether it waits are for everybody", () => {
    expect(operations.filter(({ need }) => need === null).map(({ operationId }) => operationId)).toEqual([
      "getSetup",
      "signIn",
      "beginPasskeySignIn",
      "signInByPasskey",
      "redeem",
    ]);
  });
});

describe("another's object is not there:", () => {
  for (const row of operations.filter(({ path }) => path.includes("{id}"))) {
    test(row.title, async () => {
      const missing = await problem(await send(row, lab.session("ada"), "nobody's"));
      expect(missing.status).toBe(404);
      if (row.example.others === undefined) return;
      const others = await problem(await send(row, lab.session("uwe"), row.example.others(lab)));
      expect(others).toEqual(missing);
    });
  }
});

describe("a wrong method is told which are right:", () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    test(path, async () => {
      const right = Object.keys(methods).map((method) => method.toUpperCase());
      // Another route has the same form: `/v1/forwards/preview` may be an id.
      const like = operations.filter((row) => new RegExp(`^${row.path.replace("{id}", "[^/]+")}$`).test(path));
      const allowed = new Set([...right, ...like.map(({ method }) => method)]);
      if (allowed.has("GET")) allowed.add("HEAD");
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        if (allowed.has(method)) continue;
        const response = await lab.fetch(pathWith(path, "x"), { method, headers: lab.session("ada") });
        expect([method, response.status]).toEqual([method, 405]);
        expect(new Set(response.headers.get("allow")?.split(", "))).toEqual(allowed);
        await problem(response);
      }
      expect(lab.calls).toEqual([]);
    });
  }
});

test("what a schema does not name never leaves", async () => {
  const { items } = (await (await lab.fetch("/v1/visits", { headers: lab.session("uwe") })).json()) as {
    items: object[];
  };
  expect([items.length, items.some((item) => "accountId" in item)]).toEqual([1, false]);
});

test("a visit says its country if the server has a database, and no word of it else", async () => {
  const visits = async () => {
    const response = await lab.fetch("/v1/visits", { headers: lab.session("ada") });
    return ((await response.json()) as { items: { visitor: string; country?: string | null }[] }).items;
  };
  expect((await visits()).map((visit) => "country" in visit)).toEqual([false, false]);
  const [first, second] = [...lab.backend.forwards.visits.values()];
  if (first === undefined || second === undefined) throw new Error("two visits are wanted");
  lab.backend.forwards.visits.set(second.id, { ...second, visitor: "[2001:db8::7]:40000" });
  const known = new Map([["2001:db8::7", "IS"]]);
  lab.backend.countries = { countriesOf: async (all) => all.map((address) => known.get(address) ?? null) };
  expect(new Map((await visits()).map(({ visitor, country }) => [visitor, country]))).toEqual(
    new Map([
      [first.visitor, null],
      ["[2001:db8::7]:40000", "IS"],
    ]),
  );
});

test("an answer that is not as promised is a fault of ours, and says nothing of it", async () => {
  const [id, broken] = [...lab.backend.forwards.all][0] ?? ["", {}];
  lab.backend.forwards.all.set(id, Object.assign({}, broken, { ports: 7 }) as never);
  const response = await lab.fetch("/v1/forwards", { headers: lab.session("ada") });
  expect([response.status, await response.text(), lab.unexpected.length]).toEqual([
    500,
    expect.not.stringMatching(/zod|ports|stack/i),
    1,
  ]);
});

test("the table of routes and the document have the same operations", () => {
  expect(OPERATIONS.map(({ id }) => id)).toHaveLength(operations.length);
});
