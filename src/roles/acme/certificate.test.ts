import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { certificateZoo } from "../../../test/fixtures/certificates.ts";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { FakeAcme } from "../../../test/fixtures/fake-acme.ts";
import { certificateOf, type RelayCertificate } from "../../os/certificate.ts";
import type { Logger } from "../../os/log.ts";
import { type ChallengeServer, serveChallenges } from "../../servers/acme/challenges.ts";
import { ok } from "../../wire/result.ts";
import { fixedCertificate } from "../certificate/source.ts";
import type { AcmeSettings } from "../control.ts";
import { AcmeCertificate } from "./certificate.ts";

const HOSTS = ["console.example.com", "relay.example.com"];
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const zoo = await certificateZoo();
const ours = certificateOf(zoo.good.certificatePem, zoo.good.keyPem, []);
if (ours === null) throw new Error("no fallback");

let acme: FakeAcme;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let challenges: ChallengeServer;
let ended: AbortController;
let nowMs: number;
/** Tokens that are answered for now. */
let published: Set<string>;
let pauses: number[];
/** The CA comes to this process. */
let isFound: boolean;
let told: { readonly level: "info" | "warn"; readonly fields: Record<string, unknown> }[];

beforeEach(async () => {
  acme = await FakeAcme.start();
  directory = await temporaryDirectory();
  const served = serveChallenges({ bind: "127.0.0.1", port: 0, homeUrl: () => "https://console.example.com/" });
  if (!served.ok) throw new Error(served.error.message);
  challenges = served.value;
  acme.httpPort = challenges.port;
  ended = new AbortController();
  nowMs = Date.now();
  [published, pauses, told] = [new Set(), [], []];
  isFound = true;
});
afterEach(async () => {
  ended.abort();
  await challenges.close();
  await acme[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function logger(): Logger {
  const keep = (level: "info" | "warn") => (_message: string, fields: Record<string, unknown>) =>
    void told.push({ level, fields });
  return { info: keep("info"), warn: keep("warn") } as unknown as Logger;
}

const warnings = () => told.filter(({ level }) => level === "warn").map(({ fields }) => String(fields["message"]));

async function open(
  settings: Partial<AcmeSettings> = {},
  dataDir = directory.path,
  ca = acme.caPem,
): Promise<AcmeCertificate> {
  return AcmeCertificate.open({
    settings: {
      hosts: HOSTS,
      email: "ann@example.com",
      directory: acme.directory,
      ca: null,
      listen: { host: "127.0.0.1", port: 0 },
      ...settings,
    },
    ca,
    dataDir,
    fallback: fixedCertificate(ours as RelayCertificate),
    ways: ["http-01"],
    async publish({ token, keyAuthorization }) {
      published.add(token);
      const unpublish = challenges.publish(token, keyAuthorization);
      return () => {
        published.delete(token);
        unpublish();
      };
    },
    canProve: () => isFound,
    wallMs: () => nowMs,
    random: () => 0,
    async pause(ms) {
      pauses.push(ms);
      nowMs += ms;
    },
    log: logger(),
    signal: ended.signal,
  });
}

/** What is due is done. */
async function swept(source: AcmeCertificate): Promise<void> {
  source.sweep();
  await source.idle();
}

const isOwn = (source: AcmeCertificate) => source.current !== ours;

describe("an order", () => {
  test("proves every name and brings a certificate for them, which is kept and not asked for again", async () => {
    const source = await open();
    const shown: RelayCertificate[] = [];
    source.follow((next) => {
      shown.push(next);
      return ok(null);
    });
    expect(isOwn(source)).toBe(false);
    await swept(source);
    expect(warnings()).toEqual([]);
    expect(shown).toEqual([source.current]);
    const { certificatePem, keyPem, notAfterMs } = source.current;
    expect(certificateOf(certificatePem, keyPem, HOSTS)).not.toBeNull();
    expect(certificatePem.match(/BEGIN CERTIFICATE/g)?.length).toBe(2);
    expect(notAfterMs).toBeGreaterThan(nowMs + 89 * DAY_MS);
    expect([acme.count("newOrder"), acme.count("chall"), published.size, source.problem]).toEqual([1, 2, 0, null]);
    await swept(source);
    const again = await open();
    await swept(again);
    expect([isOwn(again), again.current.fingerprint]).toEqual([true, source.current.fingerprint]);
    expect(acme.count("newOrder")).toBe(1);
  });

  test("what is kept is its owner's to read alone, and no key is in a log", async () => {
    const source = await open();
    await swept(source);
    const path = join(directory.path, "acme.json");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const text = await readFile(path, "utf8");
    const key = source.current.keyPem.split("\n")[1] ?? "";
    expect(text).toContain(key);
    expect(JSON.stringify(told)).not.toContain(key);
    expect(JSON.stringify(told)).not.toContain("PRIVATE");
  });

  test("is made again at two thirds of the life, with the same account and another key", async () => {
    const source = await open();
    await swept(source);
    const first = source.current;
    nowMs = first.notBeforeMs + (2 / 3) * (first.notAfterMs - first.notBeforeMs) - 1_000;
    await swept(source);
    expect(source.current).toBe(first);
    nowMs += 2_000;
    acme.nowMs = nowMs;
    await swept(source);
    expect(source.current.notAfterMs).toBeGreaterThan(first.notAfterMs);
    expect(source.current.fingerprint).not.toEqual(first.fingerprint);
    expect([acme.accounts.size, acme.count("newOrder")]).toEqual([1, 2]);
  });

  test("waits as long as the server says, and no longer than a minute at once", async () => {
    acme.slow = 3;
    const source = await open();
    await swept(source);
    expect(isOwn(source)).toBe(true);
    // Twice for an authorization, whose Retry-After is 7 s, once for the order, which has none: or what comes first.
    expect(pauses.length).toBe(3);
    expect(pauses.every((ms) => ms >= 500 && ms <= 60_000)).toBe(true);
    expect(pauses.some((ms) => ms > 6_000)).toBe(true);
  });

  test("a nonce that was refused is no failure", async () => {
    for (const at of ["newAccount", "newOrder", "newOrder", "finalize"] as const) {
      acme.faults.push({ at, status: 400, type: "badNonce" });
    }
    const source = await open();
    await swept(source);
    expect([isOwn(source), warnings()]).toEqual([true, []]);
  });

  test("nonces that are refused for ever end it", async () => {
    for (let count = 0; count < 50; count++) acme.faults.push({ at: "newAccount", status: 400, type: "badNonce" });
    const source = await open();
    await swept(source);
    expect([isOwn(source), acme.count("newAccount")]).toEqual([false, 4]);
  });

  test("other names, or another server, are another wish", async () => {
    await swept(await open());
    const source = await open({ hosts: ["other.example.com"] });
    // Until then what there is is better than nothing.
    expect(isOwn(source)).toBe(true);
    await swept(source);
    expect(acme.count("newOrder")).toBe(2);
    expect(certificateOf(source.current.certificatePem, source.current.keyPem, ["other.example.com"])).not.toBeNull();
  });

  test("is not made while another process has who comes", async () => {
    isFound = false;
    const source = await open();
    await swept(source);
    expect([acme.asked, warnings()]).toEqual([[], []]);
    isFound = true;
    await swept(source);
    expect(isOwn(source)).toBe(true);
  });

  test("ends with everything else, and is not held against the server", async () => {
    const source = await open();
    source.sweep();
    ended.abort();
    await source.idle();
    expect([isOwn(source), warnings(), source.problem]).toEqual([false, [], null]);
  });
});

describe("a failure is told in one sentence, remembered, and tried again later each time", () => {
  const failures: [string, () => void, string, number][] = [
    [
      "a server error",
      () => acme.faults.push({ at: "newOrder", status: 500, body: "<html>" }),
      "is out of order (status 500)",
      2,
    ],
    [
      "a refusal",
      () => acme.faults.push({ at: "newOrder", status: 403, type: "rejectedIdentifier" }),
      "refused (rejectedIdentifier: as the test wants)",
      15,
    ],
    [
      "a name that leads elsewhere",
      () => {
        acme.httpPort = 1;
      },
      "console.example.com could not be proven (connection: nobody answered): let port 80",
      15,
    ],
    [
      "an order whose time is over",
      () => {
        acme.expireOrders = true;
      },
      "came to nothing (its time was over)",
      15,
    ],
    [
      "no JSON",
      () => acme.faults.push({ at: "newOrder", status: 201, body: "<html>", headers: location() }),
      "not JSON",
      15,
    ],
    [
      "an order by plain HTTP",
      () =>
        acme.faults.push({
          at: "newOrder",
          status: 201,
          headers: location(),
          body: JSON.stringify({ status: "ready", authorizations: [], finalize: "http://127.0.0.1/" }),
        }),
      'a "finalize" that RFC 8555 does not have',
      15,
    ],
    [
      "an endless answer",
      () => acme.faults.push({ at: "directory", status: 200, body: "x".repeat(300_000) }),
      "more than it can have to say",
      15,
    ],
    [
      "a certificate for other names",
      () => {
        acme.otherNames = ["elsewhere.example.com"];
      },
      "for another key or other names",
      15,
    ],
    [
      "limits",
      () => acme.faults.push({ at: "newOrder", status: 429, type: "rateLimited" }),
      "wants no more orders",
      60,
    ],
  ];
  const location = () => ({ location: acme.directory });

  for (const [name, spoil, words, minutes] of failures) {
    test(`${name}: again after ${minutes} min`, async () => {
      spoil();
      const source = await open();
      await swept(source);
      expect(warnings()).toEqual([expect.stringContaining(words)]);
      expect(source.problem).toContain(words);
      expect([isOwn(source), published.size]).toEqual([false, 0]);
      const asked = acme.asked.length;
      nowMs += minutes * MINUTE_MS - 1_000;
      await swept(source);
      // Not after a restart either.
      const restarted = await open();
      await swept(restarted);
      expect(restarted.problem).toContain(words);
      expect(acme.asked.length).toBe(asked);
      nowMs += 2_000;
      [acme.httpPort, acme.expireOrders, acme.otherNames] = [challenges.port, false, null];
      await swept(restarted);
      expect([isOwn(restarted), restarted.problem]).toEqual([true, null]);
    });
  }

  test("the server's own pause is kept to, also by a reload", async () => {
    acme.faults.push({ at: "newOrder", status: 429, type: "rateLimited", headers: { "retry-after": "86400" } });
    const source = await open();
    await swept(source);
    const asked = acme.asked.length;
    nowMs += DAY_MS - MINUTE_MS;
    await swept(source);
    expect(await source.look()).toMatchObject({ kind: "refused", message: expect.stringContaining("next try is at") });
    await source.idle();
    expect(acme.asked.length).toBe(asked);
    nowMs += 2 * MINUTE_MS;
    await swept(source);
    expect(isOwn(source)).toBe(true);
  });

  test("a reload tries again at once, but for what the limits of a CA bear", async () => {
    acme.httpPort = 1;
    const source = await open();
    await swept(source);
    for (let count = 2; count <= 4; count++) {
      expect((await source.look()).kind).toBe("same");
      await source.idle();
      expect(acme.count("newOrder")).toBe(count);
    }
    expect(await source.look()).toMatchObject({ kind: "refused", message: expect.stringContaining("next try is at") });
    await source.idle();
    expect(acme.count("newOrder")).toBe(4);
    // Not after a restart either.
    expect((await (await open()).look()).kind).toBe("refused");
    acme.httpPort = challenges.port;
    nowMs += 60 * MINUTE_MS;
    expect((await source.look()).kind).toBe("same");
    await source.idle();
    expect(isOwn(source)).toBe(true);
    expect((await source.look()).kind).toBe("same");
    await source.idle();
    expect(acme.count("newOrder")).toBe(5);
  });

  test("a server that is away keeps the certificate that there is, and is found when it is back", async () => {
    const source = await open();
    await swept(source);
    const first = source.current;
    await acme.down();
    nowMs += 61 * DAY_MS;
    acme.nowMs = nowMs;
    await swept(source);
    expect([source.current, warnings()]).toEqual([first, [expect.stringContaining("was not reached")]]);
    acme.up();
    await swept(source);
    expect(source.current).toBe(first);
    nowMs += 2 * MINUTE_MS;
    await swept(source);
    expect(source.current.notAfterMs).toBeGreaterThan(first.notAfterMs);
  });

  test("a server that a stranger vouches for is told nothing", async () => {
    const source = await open({}, directory.path, zoo.authority.certificatePem);
    await swept(source);
    expect(warnings()).toEqual([expect.stringContaining("was not reached")]);
    expect(acme.asked).toEqual([]);
  });

  test("what cannot be kept is not ordered", async () => {
    const source = await open({}, join(directory.path, "gone"));
    await swept(source);
    expect(warnings()).toEqual([expect.stringContaining("there is no such directory"), expect.anything()]);
    expect([acme.asked, isOwn(source)]).toEqual([[], false]);
    await swept(source);
    expect(acme.asked).toEqual([]);
  });
});

test("a damaged file is named, and nothing is ordered over it", async () => {
  await writeFile(join(directory.path, "acme.json"), "{", { mode: 0o600 });
  expect(open()).rejects.toMatchObject({ kind: "failed", message: expect.stringContaining("acme.json is damaged") });
  await open().catch(() => undefined);
});

test("the answer to a challenge is the token and the thumbprint of the account's key, to its own path only", async () => {
  const seen: Promise<string>[] = [];
  const { publish } = challenges;
  Object.assign(challenges, {
    publish(token: string, text: string) {
      const unpublish = publish(token, text);
      const url = `http://127.0.0.1:${challenges.port}/.well-known/acme-challenge/${token}`;
      seen.push(fetch(url).then((response) => response.text()));
      return unpublish;
    },
  });
  await swept(await open());
  const [jwk] = acme.accounts.values();
  const { crv, kty, x, y } = jwk ?? {};
  const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
  for (const text of await Promise.all(seen)) expect(text).toMatch(new RegExp(`^[\\w-]{43}\\.${thumbprint}$`));
  expect(seen.length).toBe(2);
});
