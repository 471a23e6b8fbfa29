import { describe, expect, test } from "bun:test";
import { enrolDevice, temporaryStore, testKey } from "../../../test/fixtures/store.ts";
import type { Credentials } from "../../dataplanes/tunnel/relay.ts";
import { RelayAuth } from "./auth.ts";

const HERE = "192.0.2.7";
const ELSEWHERE = "198.51.100.1";

async function authLab() {
  const fixture = await temporaryStore();
  const clock = { nowMs: 1_000_000 };
  const auth = new RelayAuth({
    store: fixture.store,
    nowMs: () => clock.nowMs,
    wallMs: () => clock.nowMs,
    random: () => 0.5,
    onDenied: () => undefined,
    onEnrolled: () => undefined,
  });
  return { auth, clock, store: fixture.store, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

function credentials(seed: number, join: Uint8Array | null = null): Credentials {
  return {
    publicKey: testKey(seed),
    join: join === null ? null : Buffer.from(join).toString("base64url"),
    version: "",
    certificateNames: null,
  };
}

describe("a credential", () => {
  type Lab = Awaited<ReturnType<typeof authLab>>;
  const make = async ({ store, clock }: Lab, deviceName: string) => {
    const made = await store.joinCodes.create({ deviceName, lifetimeSec: 60 }, clock.nowMs);
    if (!made.ok) throw new Error(made.error.message);
    return made.value;
  };
  const wrong: { name: string; shown: (lab: Lab) => Promise<Credentials> }[] = [
    { name: "unknown key", shown: async () => credentials(9) },
    { name: "wrong code", shown: async () => credentials(9, new Uint8Array(16)) },
    { name: "empty code", shown: async () => credentials(9, new Uint8Array(0)) },
    {
      name: "used code",
      shown: async (lab) => {
        const { secret } = await make(lab, "used");
        await lab.store.joinCodes.redeem(secret, testKey(8), lab.clock.nowMs);
        return credentials(9, secret);
      },
    },
    {
      name: "expired code",
      shown: async (lab) => {
        const { secret } = await make(lab, "late");
        lab.clock.nowMs += 61_000;
        return credentials(9, secret);
      },
    },
    {
      name: "revoked code",
      shown: async (lab) => {
        const { secret, id } = await make(lab, "revoked");
        await lab.store.joinCodes.revoke(id, lab.clock.nowMs);
        return credentials(9, secret);
      },
    },
    {
      name: "revoked device",
      shown: async (lab) => {
        await enrolDevice(lab.store, "gone", 9);
        await lab.store.devices.revoke("gone", 1);
        return credentials(9);
      },
    },
    {
      name: "good code without a proven key",
      shown: async (lab) => ({ ...credentials(9, (await make(lab, "thief")).secret), publicKey: new Uint8Array(0) }),
    },
    {
      name: "good code with another's client certificate",
      shown: async (lab) => ({ ...credentials(9, (await make(lab, "web1")).secret), certificateNames: ["web2"] }),
    },
    {
      name: "good code with a client certificate without names",
      shown: async (lab) => ({ ...credentials(9, (await make(lab, "web1")).secret), certificateNames: [] }),
    },
    {
      name: "enrolled device with another's client certificate",
      shown: async (lab) => {
        await enrolDevice(lab.store, "web1", 9);
        return { ...credentials(9), certificateNames: ["web2"] };
      },
    },
  ];
  for (const { name, shown } of wrong) {
    test(`that is no good (${name}) is denied like every other, later each time`, async () => {
      await using lab = await authLab();
      const asked = await shown(lab);
      const waits: unknown[] = [];
      for (let n = 0; n < 4; n++) waits.push(await lab.auth.authenticate(asked, HERE));
      expect(waits).toEqual([1_000, 3_000, 7_000, 15_000].map((afterMs) => ({ kind: "denied", afterMs })));
      // Its neighbours start afresh.
      expect(await lab.auth.authenticate(asked, ELSEWHERE)).toEqual({ kind: "denied", afterMs: 1_000 });
    });
  }

  test("that is good is not made to wait for its neighbours' mistakes", async () => {
    await using lab = await authLab();
    const device = await enrolDevice(lab.store, "web1", 1);
    for (let n = 0; n < 8; n++) await lab.auth.authenticate(credentials(9), HERE);
    expect(lab.auth.admit(HERE)).toBe(true);
    const verdict = await lab.auth.authenticate(credentials(1), HERE);
    expect(verdict).toMatchObject({ kind: "accepted", peer: { deviceId: device.id, name: "web1" } });
  });

  test("is not used up by a device whose client certificate names another", async () => {
    await using lab = await authLab();
    const { secret } = await make(lab, "web1");
    const named = (seed: number, name: string) => ({ ...credentials(seed, secret), certificateNames: [name] });
    expect(await lab.auth.authenticate(named(9, "web2"), HERE)).toMatchObject({ kind: "denied" });
    expect(await lab.store.devices.list()).toEqual([]);
    expect(await lab.auth.authenticate(named(1, "web1"), HERE)).toMatchObject({ kind: "accepted" });
    // Its answer was lost on the way.
    expect(await lab.auth.authenticate(named(1, "web1"), HERE)).toMatchObject({ kind: "accepted" });
  });

  test("enrols once", async () => {
    await using lab = await authLab();
    const { secret } = await make(lab, "web1");
    expect(await lab.auth.authenticate(credentials(1, secret), HERE)).toMatchObject({ kind: "accepted" });
    expect(await lab.auth.authenticate(credentials(2, secret), HERE)).toMatchObject({ kind: "denied" });
    expect(await lab.auth.authenticate(credentials(1), HERE)).toMatchObject({ kind: "accepted" });
  });
});

test("pending connections of one source are bounded, and free again when they are settled", async () => {
  await using lab = await authLab();
  const admitted = Array.from({ length: 80 }, () => lab.auth.admit(HERE)).filter(Boolean).length;
  expect(admitted).toBe(64);
  expect(lab.auth.admit(ELSEWHERE)).toBe(true);
  lab.auth.settled(HERE, "accepted");
  expect(lab.auth.admit(HERE)).toBe(true);
  expect(lab.auth.admit(HERE)).toBe(false);
});
