import { beforeEach, describe, expect, test } from "bun:test";
import type { SiteLogin } from "../../core/forward.ts";
import type { RequestRefusal } from "../../core/names/request.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { Clients } from "../proxy/clients.ts";
import { LoginGuard } from "./logins.ts";

const HERE = "203.0.113.9";
const THERE = "198.51.100.7";
/** As cheap as it goes. */
const CHEAP = { algorithm: "argon2id", memoryCost: 8, timeCost: 1 } as const;

/** Holds answers back until they are let go. */
class HeldClients extends Clients {
  readonly held: { expired(): void }[] = [];
  override add(client: { expired(): void; closed(): void }): void {
    this.held.push(client);
  }
  letGo(): void {
    for (const client of this.held.splice(0)) client.expired();
  }
}

let clients: HeldClients;
let guard: LoginGuard;
let logins: readonly SiteLogin[];
beforeEach(async () => {
  clients = new HeldClients(startSweeper(AbortSignal.abort()));
  guard = new LoginGuard(clients, () => 0);
  logins = [{ user: "ann", hash: await Bun.password.hash("right", CHEAP) }];
});

const asks = (credentials: string, address = HERE) => {
  const value = `Basic ${Buffer.from(credentials).toString("base64")}`;
  return guard.check(logins, [{ name: "Authorization", value }], address);
};
const statusOf = (refusal: RequestRefusal | null) => refusal?.status ?? null;
/** Of what is held back: it is let go, again and again, until this is answered. */
async function answered(checked: ReturnType<LoginGuard["check"]>): Promise<number | null> {
  let over = false;
  const status = Promise.resolve(checked).then((refusal) => {
    over = true;
    return statusOf(refusal);
  });
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    clients.letGo();
  }
  return status;
}

test("right ones come in, and are known from then on; others are asked", async () => {
  expect(await answered(asks("ann:right"))).toBeNull();
  expect(asks("ann:right")).toBeNull();
  for (const credentials of ["ann:wrong", "ben:right"]) expect(await answered(asks(credentials))).toBe(401);
  expect(statusOf((await guard.check(logins, [], HERE)) ?? null)).toBe(401);
});

test("many requests with the same password are one check", async () => {
  const all = Array.from({ length: 100 }, () => asks("ann:right"));
  expect(await Promise.all(all.map(answered))).toEqual(all.map(() => null));
});

describe("whoever guesses", () => {
  test("is not hashed for more than a few times at once, and others are", async () => {
    const guesses = Array.from({ length: 50 }, (_, at) => asks(`ann:guess ${at}`));
    const busy = guesses.filter((one) => !(one instanceof Promise)).length;
    expect(busy).toBe(46);
    const other = asks("ann:right", THERE);
    expect(await answered(other)).toBeNull();
    await Promise.all(guesses.map(answered));
  });

  test("is not hashed for while its answers are held back", async () => {
    const held: Promise<unknown>[] = [];
    for (let at = 0; at < 40; at++) {
      const guess = asks(`ann:guess ${at}`);
      if (!(guess instanceof Promise)) {
        expect([at, statusOf(guess)]).toEqual([at, 429]);
        continue;
      }
      held.push(guess);
      const before = clients.held.length;
      while (clients.held.length === before) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(held).toHaveLength(32);
    clients.letGo();
    await Promise.all(held);
  });
});
