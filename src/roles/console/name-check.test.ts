import { expect, test } from "bun:test";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import type { SitePolicy } from "../../core/names/policy.ts";
import { ApiFailure, type Principal } from "../../servers/api/backend.ts";
import type { NameMeans } from "../check/site-name.ts";
import { checkName, type NameCheckOptions } from "./name-check.ts";

const POLICY: SitePolicy = {
  ports: { http: 80, https: 443 },
  domains: ["*.example.org"],
  grants: [{ account: "ann", domains: ["*.ann.example"] }],
  reserved: [],
  canEnd: () => true,
};
const WHO = { userId: "u", name: "bob", accountId: "a-bob", scopes: null, credentialId: "c" } as const;
const PEOPLE: Readonly<Record<"bob" | "ada", Principal>> = {
  bob: { ...WHO, role: "user" },
  ada: { ...WHO, role: "admin" },
};
const DNS: Readonly<Record<string, readonly string[]>> = {
  "relay.example": ["198.51.100.1"],
  "app.example.org": ["198.51.100.1"],
  "hatchway-check.apps.example.org": ["203.0.113.7"],
  "db.inside": ["10.0.0.7"],
};

function lab(more: Partial<NameCheckOptions> = {}, silent = false) {
  const asked: string[] = [];
  const timers = new ManualTimers();
  const resolve = async (host: string) => {
    asked.push(host);
    return DNS[host] ?? [];
  };
  const means: NameMeans = {
    resolver: { known: () => null, resolve: silent ? () => new Promise(() => undefined) : resolve },
    publicHost: "relay.example",
    ownAddresses: ["192.168.1.5"],
    after: timers.after,
  };
  const options: NameCheckOptions = {
    policy: () => POLICY,
    accountName: async () => "bob",
    means: () => means,
    ...more,
  };
  return { options, asked, timers };
}

async function refusalOf(promise: Promise<unknown>): Promise<Pick<ApiFailure, "kind" | "message">> {
  const failure = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (failure instanceof ApiFailure) return failure;
  throw failure;
}

test.each([
  ["bob", "App.Example.org.", { host: "app.example.org", leads: "here", addresses: ["198.51.100.1"] }],
  ["bob", "*.apps.example.org", { host: "*.apps.example.org", leads: "elsewhere" }],
  ["bob", "new.example.org", { leads: "nowhere", records: [{ type: "CNAME", value: "relay.example" }] }],
  ["ada", "shop.ann.example", { leads: "nowhere" }],
] as const)("%s asks for %s", async (who, host, report) => {
  expect(await checkName(lab().options, PEOPLE[who], host)).toMatchObject(report);
});

type Refused = readonly ["bob" | "ada", string, Partial<NameCheckOptions>, "invalid" | "forbidden", string];
test.each<Refused>([
  ["bob", "localhost", {}, "invalid", "Write the name of a site"],
  ["bob", "db.inside", {}, "forbidden", "none that this relay hands out"],
  ["bob", "shop.ann.example", {}, "forbidden", "belongs to another account"],
  ["bob", "app.example.org", { policy: () => null }, "forbidden", "hands out no names"],
  ["ada", "app.example.org", { policy: () => null }, "forbidden", "hands out no names"],
])("%s does not ask for %s", async (who, host, more, kind, words) => {
  const { options, asked } = lab(more);
  expect(await refusalOf(checkName(options, PEOPLE[who], host))).toMatchObject({
    kind,
    message: expect.stringContaining(words),
  });
  expect(asked).toEqual([]);
});

test("a resolver that is silent is not waited for", async () => {
  const { options, timers } = lab({}, true);
  const report = refusalOf(checkName(options, PEOPLE.ada, "app.example.org"));
  await timers.waiting(5_000, 2);
  timers.pass(5_000);
  expect(await report).toMatchObject({ kind: "unavailable", message: expect.stringContaining("check again later") });
});
