import { judgementTable as table } from "../../../test/fixtures/judgement-table.ts";
import { judgeCheckPage, judgePool, judgePublicAddress, judgeRelayPort, judgeRelayRuns } from "./relay.ts";

const NOW = Date.UTC(2026, 10, 28, 12);
const DAY = 86_400_000;
const untrusted = (message: string) => ({ kind: "untrusted", message }) as const;
const at = (range: "public" | "private" | "loopback" | "reserved", isOwn = false) => ({ address: "x", range, isOwn });
const good = (days: number) => ({ kind: "trusted", notAfterMs: NOW + days * DAY }) as const;
table("what is said", [
  [
    "runs",
    judgeRelayRuns({ isSetUp: true, running: { listen: "*:7744", connected: 1, enrolled: 2 } }),
    "ok",
    "1 of 2 devices",
    null,
  ],
  ["stopped", judgeRelayRuns({ isSetUp: true, running: null }), "failure", "does not run", "hatchway serve"],
  ["none", judgeRelayRuns({ isSetUp: false, running: null }), "skipped", "No relay", null],
  ["certificate", judgeRelayPort(good(400), true, NOW), "ok", "400 more days", null],
  ["certificate of its own making ends", judgeRelayPort(good(20), true, NOW), "warning", "20 more days", "same key"],
  ["an operator's renews later", judgeRelayPort(good(20), false, NOW), "ok", "20 more days", null],
  ["an operator's ends", judgeRelayPort(good(1), false, NOW), "warning", "1 more day", "Renew it"],
  ["expired", judgeRelayPort(good(-1), false, NOW), "failure", "expired", "Renew it"],
  [
    "not itself",
    judgeRelayPort(untrusted("the key is another"), true, NOW),
    "failure",
    "The key is another.",
    "what else listens",
  ],
  [
    "no answer",
    judgeRelayPort({ kind: "broken", message: "it does not answer" }, true, NOW),
    "failure",
    "could not connect",
    "log",
  ],
  [
    "public",
    judgePublicAddress({ publicHost: "r", addresses: [at("public", true)] }),
    "ok",
    "which is this machine",
    null,
  ],
  [
    "behind 1:1 NAT",
    judgePublicAddress({ publicHost: "r", addresses: [at("public")] }),
    "ok",
    "no address of this machine",
    "1:1 NAT",
  ],
  [
    "private",
    judgePublicAddress({ publicHost: "r", addresses: [at("private", true)] }),
    "warning",
    "a private address",
    "--public NAME",
  ],
  [
    "loopback",
    judgePublicAddress({ publicHost: "localhost", addresses: [at("loopback", true)] }),
    "warning",
    "which only this machine itself reaches",
    "--public NAME",
  ],
  ["no such name", judgePublicAddress({ publicHost: "r", addresses: [] }), "failure", "does not resolve", "DNS"],
  ["pool", judgePool("1024-65535", 1_024, false), "ok", "1024-65535", null],
  ["low ports, allowed", judgePool("80", 80, true), "ok", "80", null],
  ["low ports, not told", judgePool("80", 80, null), "ok", "80", null],
  ["low ports, not allowed", judgePool("80", 80, false), "warning", "below 1024", "CAP_NET_BIND_SERVICE"],
  ["page", judgeCheckPage("*:8089", 200), "ok", "answers at", null],
  ["page's refusal is an answer", judgeCheckPage("*:8089", 403), "ok", "answers at", null],
  ["page gone", judgeCheckPage("*:8089", null), "failure", "does not answer", "log"],
  ["page broken", judgeCheckPage("*:8089", 502), "failure", "HTTP 502", "log"],
  ["no page", judgeCheckPage(null, null), "skipped", "no check page", null],
]);
