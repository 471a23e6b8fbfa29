import { describe, expect, test } from "bun:test";
import type { ControlOf } from "../../wire/tunnel/control.ts";
import { askRelay, linkMessage } from "./ask-relay.ts";
import type { LinkState } from "./link.ts";
import { type Ask, Requests } from "./requests.ts";
import type { AgentView } from "./view.ts";

const TARGET = { kind: "forward", id: "web", protocol: "tcp", port: 80 } as const;
const WELCOME: ControlOf<"welcome"> = {
  t: "welcome",
  v: 1,
  session: "s",
  device: "attic",
  account: "main",
  publicHost: "relay.example",
  carriers: { light: 1, bulk: 2, datagram: 1 },
};

/** An agent whose link is so, and what it sends to its relay. */
function agentWith(features: readonly string[] | null, isClosed = false) {
  const sent: (Ask & { rid?: number })[] = [];
  const session = { isClosed, send: (message: never) => void sent.push(message) } as never;
  const welcome = features === null ? WELCOME : { ...WELCOME, features };
  const link: LinkState = { kind: "up", session, welcome, sinceMs: 0, relayClockMs: null };
  const requests = new Requests(session);
  return { agent: { link: () => link, requests: () => requests } as unknown as AgentView, sent, requests };
}

describe("what a relay is asked", () => {
  test("an older relay, which would end the session for it, is not asked", async () => {
    for (const features of [null, [], ["something else"]]) {
      const { agent, sent } = agentWith(features);
      expect(await askRelay(agent, TARGET, 0)).toContain("version cannot check");
      expect(sent).toEqual([]);
    }
  });

  test("a relay with the feature is asked, with padding", async () => {
    const { agent, sent, requests } = agentWith(["check"]);
    const answer = askRelay(agent, TARGET, 320);
    expect(sent).toEqual([{ t: "check", rid: 1, target: TARGET, pad: ".".repeat(320) }]);
    const outcome = { kind: "refused", why: "policy", message: "No." } as const;
    requests.answered({ t: "result", rid: 1, outcome });
    expect(await answer).toEqual(outcome);
  });

  test("a session that ends meanwhile, or ended before, is no answer", async () => {
    const { agent, requests } = agentWith(["check"]);
    const answer = askRelay(agent, TARGET, 0);
    requests.sessionEnded();
    expect(await answer).toBe("the relay did not answer.");
    expect(await askRelay(agentWith(["check"], true).agent, TARGET, 0)).toBe("the relay did not answer.");
  });
});

test.each<[LinkState, string | null]>([
  [{ kind: "connecting" }, "it is still connecting."],
  [{ kind: "down", message: "no route to it", retryInMs: 5 }, "no route to it."],
  [{ kind: "down", message: "It ended.", retryInMs: 5 }, "It ended."],
  [{ kind: "rejected", message: "Join again." }, "Join again."],
])("a link that is so is told as a sentence: %p", (link, message) => {
  expect(linkMessage(link)).toBe(message);
});
