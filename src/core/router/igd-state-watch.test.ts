import { describe, expect, test } from "bun:test";
import type { Notification } from "../../wire/igd/ssdp-notify.ts";
import { IgdStateWatch, type Seen } from "./igd-state-watch.ts";

const GATEWAY = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
const alive: Notification = {
  kind: "alive",
  uuid: "a",
  target: GATEWAY,
  location: null,
  bootId: null,
  nextBootId: null,
};
const byebye: Notification = { ...alive, kind: "byebye" };
const say = (over: Partial<Notification>): Notification => ({ ...alive, ...over });

type Step = readonly [atMs: number, notification: Notification, seen: "forgot" | "doubtful" | "nothing"];

function word({ forgot, doubtful }: Seen): "forgot" | "doubtful" | "nothing" {
  if (forgot) return "forgot";
  return doubtful ? "doubtful" : "nothing";
}

const TABLE: readonly (readonly [name: string, bootId: number | null, steps: readonly Step[]])[] = [
  [
    "the same number again and again: its uptime is asked for now and then",
    7,
    [
      [0, say({ bootId: 7 }), "doubtful"],
      [10, say({ bootId: 7 }), "nothing"],
      [9_999, say({ bootId: 7 }), "nothing"],
      [10_000, say({ bootId: 7 }), "doubtful"],
    ],
  ],
  [
    "another number: once, though it is said for each thing that it is",
    7,
    [
      [0, say({ bootId: 8 }), "forgot"],
      [1, say({ bootId: 8, uuid: "b", target: "uuid:b" }), "nothing"],
      [2, say({ bootId: 8, target: "upnp:rootdevice" }), "nothing"],
      [3, say({ bootId: 9 }), "forgot"],
    ],
  ],
  ["a smaller number is another, too", 7, [[0, say({ bootId: 1 }), "forgot"]]],
  [
    "a search without a number: the first one announced is taken",
    null,
    [
      [0, say({ bootId: 7 }), "doubtful"],
      [1, say({ bootId: 8 }), "forgot"],
    ],
  ],
  [
    "numbers come and go",
    7,
    [
      [0, say({ bootId: null }), "doubtful"],
      [1, say({ bootId: 7 }), "nothing"],
      [2, say({ bootId: 8 }), "forgot"],
    ],
  ],
  [
    "a farewell and a greeting",
    null,
    [
      [0, byebye, "nothing"],
      [1, { ...byebye, uuid: "b", target: "uuid:b" }, "nothing"],
      [2, alive, "forgot"],
      [3, say({ uuid: "b", target: "uuid:b" }), "nothing"],
    ],
  ],
  [
    "a farewell and a greeting with another number are one start",
    7,
    [
      [0, say({ kind: "byebye", bootId: 7 }), "nothing"],
      [1, say({ bootId: 8 }), "forgot"],
      [2, say({ bootId: 8 }), "nothing"],
    ],
  ],
  [
    "a farewell, and a greeting with a new identity",
    7,
    [
      [0, byebye, "nothing"],
      [1, say({ uuid: "new", bootId: 1 }), "forgot"],
    ],
  ],
  [
    "a gateway with another identity alone: its uptime is asked for",
    7,
    [[0, say({ uuid: "new", bootId: 1 }), "doubtful"]],
  ],
  [
    "a media server of the router's",
    7,
    [
      [0, say({ kind: "byebye", uuid: "m", target: "urn:schemas-upnp-org:device:MediaServer:1" }), "nothing"],
      [1, say({ uuid: "m", target: "urn:schemas-upnp-org:device:MediaServer:1", bootId: 1 }), "nothing"],
      [2, say({ bootId: 7 }), "doubtful"],
    ],
  ],
  [
    "an interface came or went: the number changes, the state does not",
    7,
    [
      [0, say({ kind: "update", bootId: 7, nextBootId: 8 }), "nothing"],
      [1, say({ bootId: 8 }), "doubtful"],
    ],
  ],
];

test.each(TABLE)("%s", (_name, bootId, steps) => {
  const watch = new IgdStateWatch(["a", "b"], bootId);
  expect(steps.map(([atMs, notification]) => word(watch.onNotification(notification, atMs)))).toEqual(
    steps.map(([, , seen]) => seen),
  );
});

describe("uptime", () => {
  const table: readonly (readonly [
    name: string,
    steps: readonly (readonly [atSec: number, uptimeSec: number, forgot: boolean])[],
  ])[] = [
    [
      "goes on",
      [
        [0, 100, false],
        [60, 160, false],
        [3660, 3760, false],
      ],
    ],
    [
      "goes backwards",
      [
        [0, 100, false],
        [60, 5, true],
        [120, 65, false],
      ],
    ],
    [
      "goes on from a start in between",
      [
        [0, 100, false],
        [3600, 3000, true],
      ],
    ],
    [
      "runs an eighth slower",
      [
        [0, 100, false],
        [3600, 3300, false],
      ],
    ],
    [
      "stands still",
      [
        [0, 0, false],
        [3600, 0, false],
        [7200, 0, false],
      ],
    ],
    [
      "jumps ahead, when the router learns what time it is",
      [
        [0, 100, false],
        [1, 1_700_000_000, false],
      ],
    ],
  ];
  test.each(table)("%s", (_name, steps) => {
    const watch = new IgdStateWatch([], null);
    expect(steps.map(([atSec, uptimeSec]) => watch.onUptime(uptimeSec, atSec * 1000))).toEqual(
      steps.map(([, , forgot]) => forgot),
    );
  });

  test("after a start that is known, a lower one is no news", () => {
    const watch = new IgdStateWatch(["a"], 7);
    expect(watch.onUptime(100, 0)).toBe(false);
    expect(watch.onNotification(say({ bootId: 8 }), 1000).forgot).toBe(true);
    expect(watch.onUptime(1, 2000)).toBe(false);
  });
});

describe("found anew", () => {
  test.each([
    ["with the same number", 7, "doubtful"],
    ["with another", 8, "forgot"],
    ["with none", null, "doubtful"],
  ] as const)("%s", (_name, bootId, expected) => {
    const watch = new IgdStateWatch(["a"], 7);
    expect(word(watch.onFound(["z"], bootId, 0))).toBe(expected);
    expect(word(watch.onNotification(say({ uuid: "z", target: "uuid:z", bootId: 9 }), 1))).toBe("forgot");
  });
});
