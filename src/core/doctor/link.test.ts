import { judgementTable as table } from "../../../test/fixtures/judgement-table.ts";
import {
  type JoinedFacts,
  judgeCertificate,
  judgeConnection,
  judgeJoined,
  judgeLink,
  judgeName,
  judgeVersions,
} from "./link.ts";

const NOW = Date.UTC(2026, 10, 28, 12);
const JOINED: JoinedFacts = {
  membership: { kind: "joined", relay: "r:7744", deviceName: "den" },
  listed: 0,
  needRelay: 0,
  agentRuns: true,
  isServer: false,
};
const joined = (more: Partial<JoinedFacts>) => judgeJoined({ ...JOINED, ...more });
const alone = { membership: { kind: "none" }, agentRuns: false } as const;
const connection = (saw: Parameters<typeof judgeConnection>[0]["saw"]) =>
  judgeConnection({ relay: "r:7744", saw, elapsedMs: 12 });
const UP = { link: "up", message: null, rttMs: 3.21, carriers: 5 } as const;
const untrusted = (message: string) => ({ kind: "untrusted", message }) as const;
table("what is said", [
  ["joined", joined({}), "ok", 'joined r:7744 as "den"', null],
  ["no agent, and none needed", joined({ agentRuns: false }), "ok", "No agent runs", null],
  [
    "no agent, and forwards",
    joined({ agentRuns: false, listed: 2 }),
    "failure",
    "2 forwards are listed",
    "hatchway agent",
  ],
  ["a fresh machine", joined(alone), "ok", "Nothing is set up", "hatchway serve"],
  ["a relay's machine", joined({ ...alone, isServer: true }), "skipped", "No agent", null],
  ["an agent without a relay", joined({ membership: { kind: "none" } }), "skipped", "joined no relay", null],
  [
    "forwards and no relay",
    joined({ ...alone, listed: 1, needRelay: 1 }),
    "failure",
    "1 forward is listed",
    "join-code create",
  ],
  ["router's ports and no agent", joined({ ...alone, listed: 1 }), "failure", "no agent runs", "agent --no-relay"],
  [
    "damaged",
    joined({ membership: { kind: "unreadable", message: "/a cannot be read: put it back." } }),
    "failure",
    "/a cannot be read.",
    "Put it back.",
  ],
  [
    "not allowed",
    joined({ membership: { kind: "unreadable", message: "Cannot read /a: user x is not allowed to." } }),
    "failure",
    "not allowed",
    "agent's own user",
  ],
  ["a name", judgeName("r", ["192.0.2.1", "2001:db8::1"]), "ok", "r is 192.0.2.1, 2001:db8::1.", null],
  ["a literal", judgeName("192.0.2.1", ["192.0.2.1"]), "ok", "known by its address", null],
  ["no such name", judgeName("r", []), "failure", "does not resolve", "DNS"],
  ["connects", connection("open"), "ok", "after 12 ms", null],
  ["refused", connection("closed"), "failure", "refuses connections", "hatchway status"],
  ["dropped", connection("filtered"), "failure", "does not answer", "Let that TCP port in"],
  ["no route", connection("unreachable"), "failure", "no way from here", "network"],
  ["not dialled", connection("failed"), "failure", "could not be dialled", "network"],
  ["no address", connection(null), "skipped", "no address", null],
  ["pinned", judgeCertificate({ kind: "trusted", notAfterMs: NOW }, "pinned"), "ok", "join code named", null],
  ["verified", judgeCertificate({ kind: "trusted", notAfterMs: NOW }, "public-ca"), "ok", "valid for its name", null],
  [
    "another key",
    judgeCertificate(untrusted("the relay's certificate is not the one"), "pinned"),
    "failure",
    "The relay's certificate is not the one.",
    "join again with a new code",
  ],
  [
    "another CA",
    judgeCertificate(untrusted("the relay's certificate is not trusted: x"), "public-ca"),
    "failure",
    "not trusted",
    "`ca` in [agent]",
  ],
  [
    "not valid now",
    judgeCertificate(untrusted("the certificate is valid from A to B, not now"), "pinned"),
    "failure",
    "not now",
    "clock",
  ],
  [
    "no TLS",
    judgeCertificate({ kind: "broken", message: "TLS failed" }, "pinned"),
    "failure",
    "TLS failed.",
    "agent port",
  ],
  ["up", judgeLink(UP), "ok", "5 carriers, 3.2 ms there and back", null],
  ["connecting", judgeLink({ ...UP, link: "connecting" }), "warning", "still connecting", "again"],
  ["down", judgeLink({ ...UP, link: "down", message: "it was revoked" }), "failure", "it was revoked.", "likely cause"],
  ["no link wanted", judgeLink({ ...UP, link: "none" }), "skipped", "without a relay", null],
  ["same version", judgeVersions("1.2.3", "1.2.3"), "ok", "same version", null],
  ["another patch", judgeVersions("1.2.3", "1.2.4"), "ok", "1.2.4", null],
  ["an older relay", judgeVersions("1.3.0", "1.2.4"), "warning", "relay is version 1.2.4", "Update the relay"],
  ["an older program", judgeVersions("1.2.9", "1.3.0"), "warning", "1.3.0", "Update this machine's program"],
  ["not told", judgeVersions("1.2.3", null), "skipped", "does not tell", null],
]);
