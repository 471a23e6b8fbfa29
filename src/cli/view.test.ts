import { describe, expect, test } from "bun:test";
import type { AttachEvent } from "../roles/control.ts";
import { foregroundView } from "./view.ts";

describe("the view of a foreground command", () => {
  const shown = (events: readonly AttachEvent[], { count = 1, columns = 100 } = {}) => {
    let out = "";
    let err = "";
    const view = foregroundView(
      {
        env: { NO_COLOR: "1" },
        isTerminal: true,
        columns,
        out: (text) => (out += text),
        err: (text) => (err += text),
      },
      count,
    );
    for (const event of events) view.show(event);
    view.close();
    return { out, err };
  };
  const exposed: AttachEvent = {
    event: "exposed",
    v: 1,
    id: "x",
    name: "x",
    type: "remote",
    via: "relay",
    endpoints: [{ protocol: "tcp", host: "r.example", port: 80, lastPort: 80, internalHost: "db", internalPort: 80 }],
  };
  const up: AttachEvent = { event: "up", v: 1, rttMs: 1 };
  const down: AttachEvent = { event: "down", v: 1, message: "no answer", retryInMs: 500 };

  test("the first link needs no words", () => {
    expect(shown([up, exposed]).err).toBe("");
  });

  test("a relay that is away is told once, and that it is back", () => {
    expect(shown([up, exposed, down, down, up, down]).err.split("\n")).toEqual([
      "The link to the relay is down: no answer.",
      "The link to the relay is up again.",
      "The link to the relay is down: no answer.",
      "",
    ]);
  });

  test("the hint stands under the last of several", () => {
    const { out } = shown([exposed, exposed], { count: 2 });
    expect(out.match(/Ctrl-C/g)).toHaveLength(1);
    expect(out).toEndWith("┘\nCtrl-C closes them.\n");
  });

  test("a terminal that is too narrow gets no box", () => {
    expect(shown([exposed], { columns: 20 }).out).toBe("r.example:80/tcp → db:80\nCtrl-C closes it.\n");
  });

  test("counters and what was refused stand in one line, and the end is said", () => {
    const counters: AttachEvent = {
      event: "counters",
      v: 1,
      atMs: 0,
      rttMs: 12,
      forwards: ["a", "b"].map((id) => ({
        id,
        visitorsTotal: 3,
        visitorsOpen: 1,
        bytesIn: 10,
        bytesOut: 20,
        refused: { sourceNotAllowed: 2 },
        datagramsDropped: 0,
        answerMs: null,
      })),
    };
    const { out } = shown([exposed, counters]);
    expect(out).toContain(
      "visitors 2 (6 in all) · in 20 B, 0 B/s · out 40 B, 0 B/s · relay 12 ms · 4 refused: source not all",
    );
    expect(out).toEndWith("\nClosed.\n");
  });
});
