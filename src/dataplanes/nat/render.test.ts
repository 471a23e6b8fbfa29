import { describe, expect, test } from "bun:test";
import { natSettings } from "../../../test/contract/nat-plane.ts";
import { renderRewrite } from "./render.ts";
import { renderSkeleton } from "./render-rules.ts";
import type { NatSettings, TriggerRule } from "./state.ts";

const rulesOf = (settings: Partial<NatSettings>, chain: string): readonly string[] =>
  renderSkeleton(natSettings(settings), []).chains.find(({ name }) => name === chain)?.rules ?? [];
const trigger: TriggerRule = {
  name: "a game (1)",
  out: { tcp: [], udp: [{ first: 100, last: 110 }] },
  in: { tcp: [{ first: 200, last: 210 }], udp: [{ first: 200, last: 210 }] },
  timeoutSec: 60,
  secondHost: "refused",
};

describe("rules", () => {
  const there: [string, Partial<NatSettings>, string, string][] = [
    ["what IPv6 needs passes (RFC 4890 §4.3.1)", {}, "hw_forward", "packet-too-big"],
    ["ports for clients only", { insideOnly: { tcp: [5000], udp: [1900] } }, "hw_input", "{ tcp . 5000, udp . 1900 }"],
    [
      "nobody of a family that is not allowed",
      { sources: { allow: ["2001:db8::/32" as never], deny: [] } },
      "hw_sources4",
      'counter name "hw_drop_source_not_allowed" drop',
    ],
    [
      "WireGuard's answers name its peers",
      { vpn: { interface: "wg0", listenPort: 51_820 } },
      "hw_output",
      "udp sport 51820",
    ],
    [
      "a trigger opens no port of the gateway's",
      { triggers: [trigger], insideOnly: { tcp: [], udp: [205] } },
      "hw_dstnat",
      "{ tcp . 200-210, udp . 200-204, udp . 206-210 }",
    ],
  ];
  test.each(there)("%s", (_name, settings, chain, words) => {
    expect(rulesOf(settings, chain).join("\n")).toContain(words);
  });

  test.each([
    [1, "over 1/second burst 2 packets"],
    [100, "over 100/second burst 200 packets"],
    [0.5, "over 30/minute burst 1 packets"],
    [2.5, "over 150/minute burst 5 packets"],
    [1 / 3_600, "over 1/hour burst 1 packets"],
    [1 / 86_400, "over 1/day burst 1 packets"],
    [10 / 3, "over 200/minute burst 7 packets"],
  ])("a rate of %p a second in whole numbers", (newPerSourcePerSec, words) => {
    const limits = { connectionsPerSource: null, newPerSourcePerSec };
    expect(rulesOf({ limits }, "hw_open4_default").join("\n")).toContain(`limit rate ${words}`);
  });

  const absent: [string, Partial<NatSettings>, string, string][] = [
    ["no masquerade", { masquerade: false }, "hw_srcnat", "hw_masquerade"],
    ["no drop of what is not forwarded", { dropUnforwarded: false }, "hw_forward", "unforwarded"],
    ["no hairpin without an external address", { externalAddresses: [] }, "hw_dstnat", "lan1"],
    ["no limit of connections", {}, "hw_open4_default", "ct count"],
    ["peers of the VPN may meet", { vpn: { interface: "wg0", listenPort: 1 } }, "hw_forward", 'iifname "wg0"'],
  ];
  test.each(absent)("%s", (_name, settings, chain, words) => {
    expect(rulesOf(settings, chain).join("\n")).not.toContain(words);
  });

  test("every chain and set that a rule names is declared, and each once", () => {
    const skeleton = renderSkeleton(
      natSettings({
        vpn: { interface: "wg0", listenPort: 51_820 },
        insideOnly: { tcp: [1], udp: [] },
        limits: { connectionsPerSource: 9, newPerSourcePerSec: 9 },
        triggers: [trigger, { ...trigger, name: "b", secondHost: "takesOver" }],
      }),
      [{ connectionsPerSource: 3, newPerSourcePerSec: null }],
    );
    const names = [...skeleton.sets, ...skeleton.chains].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !/^hw_[A-Za-z0-9_]+$/.test(name))).toEqual([]);
    const used = skeleton.chains.flatMap(({ rules }) =>
      rules.flatMap((rule) => rule.match(/(?<=@|jump |goto )hw_\w+/g) ?? []),
    );
    expect(used.filter((name) => !names.includes(name))).toEqual([]);
  });
});

test("a rewrite empties chains first, and deletes what nothing names any more last", () => {
  const present = {
    chains: new Set(["hw_forward", "old"]),
    sets: new Set(["hw_in_tcp", "old_set"]),
    maps: new Set<string>(),
  };
  const delta = {
    remove: [{ set: "hw_dnat" as const, key: "tcp . 80", data: "192.0.2.1 . 80" }],
    add: [{ set: "hw_dnat" as const, key: "tcp . 80", data: "192.0.2.2 . 80" }],
  };
  const text = renderRewrite(renderSkeleton(natSettings(), []), present, delta);
  const order = [
    "flush chain inet hatchway old\n",
    "add chain inet hatchway hw_forward {",
    "add rule inet hatchway hw_forward ",
    "delete element inet hatchway hw_dnat { tcp . 80 }\n",
    "delete set inet hatchway old_set\n",
    "delete chain inet hatchway old\n",
    "add element inet hatchway hw_dnat { tcp . 80 : 192.0.2.2 . 80 }\n",
  ].map((words) => text.indexOf(words));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(Math.min(...order)).toBeGreaterThan(0);
  expect(text).not.toContain("delete set inet hatchway hw_in4");
});
