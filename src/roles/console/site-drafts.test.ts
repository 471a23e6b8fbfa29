import { describe, expect, test } from "bun:test";
import type { RemoteSpec } from "../../core/forward.ts";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { ForwardDraft, ForwardPatch } from "../../servers/api/schema.ts";
import { type Drafted, patched, portsText, specOfDraft } from "./drafts.ts";
import { loginsOf } from "./site-logins.ts";

const HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo";
const ANN = { user: "ann", hash: HASH };
const draft = (more: Partial<ForwardDraft> = {}): ForwardDraft => ({
  device: "den",
  ports: "8080",
  host: ["App.Example.org."],
  ...more,
});

async function refusalOf(make: () => unknown): Promise<ApiFailure> {
  try {
    await make();
  } catch (error) {
    if (error instanceof ApiFailure) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a draft of a site", () => {
  test("has its names in one form, and goes by them", () => {
    const { spec, to } = specOfDraft(draft({ host: ["App.Example.org.", "www.example.org"] }));
    expect(spec).toMatchObject({
      name: "app.example.org, www.example.org",
      ports: [{ protocol: "tcp", first: 0, internalFirst: 8080 }],
      lifetimeSec: null,
      site: { hosts: ["app.example.org", "www.example.org"], tls: "end", service: "http1", logins: [] },
    });
    expect([to, portsText(spec)]).toEqual(["127.0.0.1", "8080"]);
  });

  test("has what the command line has", () => {
    const more = { tls: "end", http2: true, to: "192.168.1.20", allow: ["192.0.2.0/24"], proxyProtocol: "v2" } as const;
    const logins = [{ user: "ann", password: "x" }];
    const { spec } = specOfDraft(draft({ ...more, allow: [...more.allow], logins, connections: 5 }), [ANN]);
    expect(spec).toMatchObject({
      site: { service: "h2c", logins: [ANN] },
      options: { source: { allow: ["192.0.2.0/24"] }, limits: { connections: 5 }, proxyProtocol: "v2" },
    });
  });

  test("with nobody in its list is for everybody", () => {
    expect(specOfDraft(draft({ tls: "pass", logins: [] })).spec.site?.logins).toEqual([]);
  });

  test.each<[string, Partial<ForwardDraft>, string, RegExp]>([
    ["an address", { host: ["192.0.2.1"] }, "host", /^host.*Write the name of a site in ASCII/],
    ["a URL", { host: ["https://app.example.org"] }, "host", /^host.*Write the name/],
    ["two ports", { ports: "8080, 8081" }, "ports", /^ports must be one TCP port/],
    ["a UDP port", { ports: "8080/udp" }, "ports", /^ports must be one TCP port/],
    ["ports outside", { as: "any" }, "as", /^as is for ports/],
    [
      "passwords that cannot be asked for",
      { tls: "pass", logins: [{ user: "a", password: "b" }] },
      "logins",
      /^logins is not asked for/,
    ],
    ["HTTP/2 that the relay does not speak", { tls: "off", http2: true }, "http2", /^http2 is for sites/],
  ])("with %s is refused by its field", async (_name, more, path, message) => {
    const { kind, errors } = await refusalOf(() => specOfDraft(draft(more)));
    expect(kind).toBe("invalid");
    expect(errors).toMatchObject([{ path, message: expect.stringMatching(message) }]);
  });

  test.each<[string, Partial<ForwardDraft>]>([
    ["tls", { tls: "pass" }],
    ["http2", { http2: true }],
    ["logins", { logins: [{ user: "a", password: "b" }] }],
  ])("without a name has no %s", async (path, more) => {
    const { errors } = await refusalOf(() => specOfDraft({ device: "den", ports: "8080", ...more }));
    expect(errors).toMatchObject([{ path, message: expect.stringContaining("is for a site") }]);
  });
});

describe("a patch of a site", () => {
  const made = specOfDraft(draft({ logins: [{ user: "ann", password: "x" }], allow: ["192.0.2.0/24"] }), [ANN]);
  /** As the relay has it: with its own port. */
  const present: Drafted = {
    ...made,
    spec: { ...made.spec, ports: made.spec.ports.map((port) => ({ ...port, first: 443, last: 443 })) },
  };
  const { spec } = present;
  const site = spec.site as NonNullable<RemoteSpec["site"]>;

  test.each<[string, ForwardPatch, object]>([
    ["of nothing", {}, spec],
    ["disables", { enabled: false }, { ...spec, enabled: false }],
    [
      "has another name, and goes by it",
      { host: ["b.example.org"] },
      { name: "b.example.org", site: { ...site, hosts: ["b.example.org"] } },
    ],
    ["is plain HTTP", { tls: "off" }, { site: { ...site, tls: "off" } }],
    ["speaks HTTP/2", { http2: true }, { site: { ...site, service: "h2c" } }],
    ["leads to another port", { ports: "9090" }, { ports: [{ first: 0, internalFirst: 9090 }], site }],
    ["lets everybody of the lists in", { allow: [] }, { options: { source: { allow: [] } }, site }],
  ])("%s", (_name, patch, expected) => {
    const next = patched(present, patch);
    expect(next.spec).toMatchObject(expected);
    expect(next.spec.id).toBe(spec.id);
  });

  test("keeps a name that a person gave it", () => {
    const named = { ...present, spec: { ...spec, name: "shop" } };
    expect(patched(named, { host: ["b.example.org"] }).spec.name).toBe("shop");
  });

  test("changes who may come in, and back to everybody", async () => {
    const wanted = [{ user: "ann" }, { user: "bob", password: "secret" }];
    const logins = await loginsOf(wanted, site.logins);
    const next = patched(present, { logins: wanted }, logins);
    const [ann, bob] = next.spec.site?.logins ?? [];
    expect([ann, bob?.user, await Bun.password.verify("secret", bob?.hash ?? "")]).toEqual([ANN, "bob", true]);
    expect(patched(present, { logins: [] }, []).spec.site?.logins).toEqual([]);
  });

  test.each<[string, ForwardPatch, string]>([
    ["passes TLS through, where passwords are asked for", { tls: "pass" }, "logins"],
    ["has two ports", { ports: "1-2" }, "ports"],
    ["has no such name", { host: ["localhost"] }, "host"],
  ])("that %s is refused by its field", async (_name, patch, path) => {
    expect((await refusalOf(() => patched(present, patch))).errors).toMatchObject([{ path }]);
  });

  test("makes no site of a forward by ports", async () => {
    const plain = specOfDraft({ device: "den", ports: "8080" });
    expect((await refusalOf(() => patched(plain, { host: ["a.example.org"] }))).errors).toMatchObject([
      { path: "host", message: expect.stringContaining("remove this forward") },
    ]);
    expect((await refusalOf(() => patched(plain, { tls: "off" }))).errors).toMatchObject([{ path: "tls" }]);
  });
});

describe("logins", () => {
  test("a hash stays one", async () => {
    expect(await loginsOf([{ user: "ann", password: HASH }], [])).toEqual([ANN]);
  });

  test.each<[string, NonNullable<ForwardPatch["logins"]>, string]>([
    [
      "twice the same",
      [
        { user: "a", password: "x" },
        { user: "a", password: "y" },
      ],
      'Name the user "a" once.',
    ],
    ["one with a colon", [{ user: "a:b", password: "x" }], "no colon"],
    ["one with a line break", [{ user: "a\nb", password: "x" }], "no control character"],
    ["a password with a line break", [{ user: "a", password: "x\ny" }], 'The password of "a"'],
    [
      "a hash that costs too much",
      [{ user: "a", password: HASH.replace("m=19456", "m=4194304") }],
      'The hash of "a" is none that the relay takes',
    ],
    ["one without a password", [{ user: "a" }], 'Give "a" a password.'],
  ])("%s are refused", async (_name, wanted, words) => {
    const { kind, errors } = await refusalOf(() => loginsOf(wanted, []));
    expect(kind).toBe("invalid");
    expect(errors).toMatchObject([{ path: "logins", message: expect.stringContaining(words) }]);
    expect(JSON.stringify(errors)).not.toContain("x\\ny");
  });
});
