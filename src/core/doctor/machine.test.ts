import { expect, test } from "bun:test";
import { judgementTable as table } from "../../../test/fixtures/judgement-table.ts";
import { isOlder, judgeClock, judgeDescriptors, judgeProgram, type ProgramFacts } from "./machine.ts";

const NOW = Date.UTC(2026, 10, 28, 12);
const MINUTE = 60_000;
const DAY = 86_400_000;

const PROGRAM: ProgramFacts = {
  version: "1.2.3",
  bun: "1.4.5",
  testedBun: "1.4.5",
  platform: "linux",
  arch: "x64",
  checksNoCertificates: false,
};
const few = { role: "relay", limit: 1_024, open: 10 };
table("what is said", [
  ["program", judgeProgram(PROGRAM), "ok", "Hatchway 1.2.3 on Bun 1.4.5", null],
  ["a newer Bun", judgeProgram({ ...PROGRAM, bun: "1.10.0" }), "ok", "1.10.0", null],
  ["an older Bun", judgeProgram({ ...PROGRAM, bun: "1.4.4" }), "warning", "was made for 1.4.5", "npm install"],
  ["no certificates", judgeProgram({ ...PROGRAM, checksNoCertificates: true }), "failure", "NODE_TLS", "Unset it"],
  ["clock alone", judgeClock({ nowMs: NOW, relayMs: null }), "ok", "2026-11-28 12:00 UTC", null],
  ["clock agrees", judgeClock({ nowMs: NOW, relayMs: NOW - 59_000 }), "ok", "agrees", null],
  ["behind", judgeClock({ nowMs: NOW, relayMs: NOW + 3 * MINUTE }), "warning", "3 minutes behind", "timedatectl"],
  ["ahead by days", judgeClock({ nowMs: NOW, relayMs: NOW - 3 * DAY }), "warning", "3 days ahead", "timedatectl"],
  ["1970", judgeClock({ nowMs: 0, relayMs: null }), "failure", "1970-01-01", "timedatectl"],
  ["descriptors", judgeDescriptors([{ ...few, limit: 65_536 }]), "ok", "The relay may open 65536", null],
  ["few", judgeDescriptors([{ ...few, limit: 65_536 }, few]), "warning", "some 512 visitors", "LimitNOFILE"],
  ["nearly all used", judgeDescriptors([{ ...few, open: 820 }]), "failure", "820 of its 1024", "LimitNOFILE"],
  ["not counted", judgeDescriptors([{ role: null, limit: 65_536, open: null }]), "ok", "A process of this user", null],
  ["not told", judgeDescriptors([]), "skipped", "does not tell", null],
]);

test.each([
  ["1.4.4", "1.4.5", true],
  ["1.4.5", "1.4.5", false],
  ["1.10.0", "1.9.9", false],
  ["0.9", "1.0.0", true],
  ["1.4.5-canary.1", "1.4.5", false],
])("%s is older than %s: %p", (version, than, older) => expect(isOlder(version, than)).toBe(older));
