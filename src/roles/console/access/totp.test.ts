import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Secret, TOTP } from "otpauth";
import {
  type AccessLab,
  accessLab,
  failureOf,
  from,
  HOME,
  kindOf,
  PASSWORD,
} from "../../../../test/fixtures/access-lab.ts";
import type { Principal } from "../../../servers/api/backend.ts";

// A thousand sign-ins with the real store: a second on an idle machine.
setDefaultTimeout(30_000);

const SEC_MS = 1000;
const STEP_MS = 30_000;
const right = { name: "ada", password: PASSWORD };

/** The code that an app shows `steps` from now. */
function codeOf(lab: AccessLab, secret: string, steps = 0): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: lab.clock.nowMs + steps * STEP_MS });
}

/** Ada with an authenticator app, a step later, so that a fresh code is at hand. */
async function withApp(lab: AccessLab): Promise<{ readonly who: Principal; readonly secret: string }> {
  const who = await lab.who(await lab.admin());
  const { secret } = await lab.access.beginTotp(who);
  await lab.access.confirmTotp(who, codeOf(lab, secret));
  lab.clock.advance(2 * STEP_MS);
  return { who, secret };
}

test("is set up by a code of the app, and asked for from then on", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const { secret, uri } = await lab.access.beginTotp(who);
  expect(Buffer.from(Secret.fromBase32(secret).bytes)).toHaveLength(20);
  expect(uri).toStartWith("otpauth://totp/Hatchway:ada?issuer=Hatchway");
  // Not confirmed yet: nobody is locked out by a code that was never scanned.
  expect(await kindOf(lab.access.signIn(right, HOME))).toBe("none");
  const wrong = await failureOf(lab.access.confirmTotp(who, "000000"));
  expect([wrong?.kind, wrong?.errors[0]?.path]).toEqual(["invalid", "code"]);
  await lab.access.confirmTotp(who, codeOf(lab, secret));
  expect((await lab.access.me(who)).hasTotp).toBe(true);

  const asked = await failureOf(lab.access.signIn(right, HOME));
  expect([asked?.kind, asked?.message]).toEqual(["totp", "Enter the code that your authenticator app shows."]);
  // The code that set it up is used.
  expect(await kindOf(lab.access.signIn({ ...right, code: codeOf(lab, secret) }, HOME))).toBe("totp");
  lab.clock.advance(2 * STEP_MS);
  expect(await kindOf(lab.access.signIn({ ...right, code: codeOf(lab, secret) }, from("192.0.2.2")))).toBe("none");
});

test("nobody hears of it who has not the password", async () => {
  await using lab = await accessLab();
  await withApp(lab);
  expect(await kindOf(lab.access.signIn({ ...right, password: "wrong horse" }, HOME))).toBe("unauthorized");
});

test.each<[string, number, string]>([
  ["of now", 0, "none"],
  ["of the step before", -1, "none"],
  ["of the next step", 1, "none"],
  ["two steps old", -2, "totp"],
  ["two steps early", 2, "totp"],
])("a code %s: %p steps, %s", async (_what, steps, kind) => {
  await using lab = await accessLab();
  const { secret } = await withApp(lab);
  lab.clock.advance(2 * STEP_MS);
  expect(await kindOf(lab.access.signIn({ ...right, code: codeOf(lab, secret, steps) }, HOME))).toBe(kind);
});

test("a code is good once, also when two bring it at the same time", async () => {
  await using lab = await accessLab();
  const { secret } = await withApp(lab);
  const code = codeOf(lab, secret);
  const kinds = await Promise.all(
    [1, 2, 3].map((at) => kindOf(lab.access.signIn({ ...right, code }, from(`192.0.2.${at}`)))),
  );
  expect(kinds.filter((kind) => kind === "none")).toHaveLength(1);
  lab.clock.advance(10 * SEC_MS);
  expect(await kindOf(lab.access.signIn({ ...right, code }, from("192.0.2.9")))).not.toBe("none");
});

describe("who has the password and guesses codes", () => {
  test("from a thousand addresses is heard eleven times, and the app is right when the wait is over", async () => {
    await using lab = await accessLab();
    const { secret } = await withApp(lab);
    const kinds: Record<string, number> = {};
    for (let at = 0; at < 1_000; at++) {
      const guess = { ...right, code: `${at}`.padStart(6, "9") };
      const kind = await kindOf(lab.access.signIn(guess, from(`198.18.${at >> 8}.${at & 255}`)));
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      lab.clock.advance(SEC_MS);
    }
    expect(kinds["totp"]).toBeLessThanOrEqual(11);
    expect(kinds["totp"]! + kinds["limited"]!).toBe(1_000);
    lab.clock.advance(600 * SEC_MS);
    expect(await kindOf(lab.access.signIn({ ...right, code: codeOf(lab, secret) }, HOME))).toBe("none");
  });

  test("side by side from fifty addresses is heard once", async () => {
    await using lab = await accessLab();
    await withApp(lab);
    const kinds = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        kindOf(lab.access.signIn({ ...right, code: "123456" }, from(`198.18.0.${at}`))),
      ),
    );
    expect(kinds.filter((kind) => kind === "totp")).toHaveLength(1);
  });
});

test("is taken away by the password, and a second one is refused", async () => {
  await using lab = await accessLab();
  const { who } = await withApp(lab);
  expect(await kindOf(lab.access.beginTotp(who))).toBe("conflict");
  expect(await kindOf(lab.access.removeTotp(who, "wrong horse"))).toBe("invalid");
  lab.clock.advance(SEC_MS);
  await lab.access.removeTotp(who, PASSWORD);
  expect(await kindOf(lab.access.signIn(right, HOME))).toBe("none");
  expect((await lab.store.audit.list()).map(({ action }) => action)).toContain("user.totp-removed");
});

test("a secret that was shown is confirmed within ten minutes", async () => {
  await using lab = await accessLab();
  const who = await lab.who(await lab.admin());
  const { secret } = await lab.access.beginTotp(who);
  lab.clock.advance(600 * SEC_MS);
  expect(await kindOf(lab.access.confirmTotp(who, codeOf(lab, secret)))).toBe("conflict");
});
