import { expect, test } from "bun:test";
import { FINGERPRINTS, PUBLIC_KEYS } from "../../../test/fixtures/ssh-keys.ts";
import { enrolDevice, temporaryStore } from "../../../test/fixtures/store.ts";
import type { Store } from "../../store/store.ts";
import { parseKeyText } from "../../wire/ssh/public-key.ts";
import { noteSeen, type Standing } from "./seen.ts";

const FROM = "192.0.2.1:5000";
const KEY = FINGERPRINTS.ed25519;

async function giveKey(store: Store, deviceName: string): Promise<void> {
  const line = parseKeyText(PUBLIC_KEYS.ed25519);
  if (!line.ok || !(await store.sshKeys.add({ ...line.value, deviceName }, 1_000)).ok) throw new Error("no key");
}

interface Row {
  readonly name: string;
  readonly proved: string | null;
  /** Between the look-up and the connection. */
  readonly meanwhile: (store: Store) => Promise<unknown>;
  readonly standing: Standing;
}

const ROWS: readonly Row[] = [
  { name: "nothing, its own key", proved: null, meanwhile: async () => undefined, standing: "good" },
  { name: "nothing, a key of ssh-key add", proved: KEY, meanwhile: async () => undefined, standing: "good" },
  {
    name: "its device was revoked, its own key",
    proved: null,
    meanwhile: (store) => store.devices.revoke("den", 2_000),
    standing: "revoked",
  },
  {
    name: "its device was revoked, a key of ssh-key add",
    proved: KEY,
    meanwhile: (store) => store.devices.revoke("den", 2_000),
    standing: "revoked",
  },
  {
    name: "its key was removed",
    proved: KEY,
    meanwhile: (store) => store.sshKeys.remove(KEY, 2_000),
    standing: "keyRemoved",
  },
  {
    name: "another key was removed",
    proved: null,
    meanwhile: (store) => store.sshKeys.remove(KEY, 2_000),
    standing: "good",
  },
];

test.each(ROWS)("what happened before a device is noted: $name", async ({ proved, meanwhile, standing }) => {
  await using fixture = await temporaryStore();
  const { store } = fixture;
  const { id: deviceId } = await enrolDevice(store, "den", 1);
  await giveKey(store, "den");
  await meanwhile(store);
  expect(await noteSeen(store, { deviceId, from: FROM, keyFingerprint: proved }, 3_000)).toBe(standing);
});
