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
    const { out } = shown([exposed, { ...exposed, id: "y" }], { count: 2 });
    expect(out.match(/Ctrl-C/g)).toHaveLength(1);
    expect(out).toEndWith("┘\nCtrl-C closes them.\n");
  });

  describe("of a router's mappings", () => {
    const mapped: AttachEvent = {
      ...exposed,
      type: "upstream",
      via: "router",
      router: { protocol: "nat-pmp", address: "192.168.1.1", model: null },
      leaseEndsMs: 3_600_000,
      note: null,
    };
    const tick = (atMs: number): AttachEvent => ({ event: "counters", v: 1, atMs, rttMs: null, forwards: [] });

    test("the lease counts down, and a renewal begins it again without a second box", () => {
      const { out, err } = shown([mapped, tick(1_000), { ...mapped, leaseEndsMs: 5_400_000 }, tick(1_800_000)]);
      expect(out.match(/┌/g)).toHaveLength(1);
      expect(out).toContain("router at 192.168.1.1, by NAT-PMP · lease 59:59, renewed by itself");
      expect(out).toContain("lease 1:00:00, renewed by itself");
      expect(err).toBe("");
    });

    test("a port that moved is shown again, a permanent one has no clock, a note is told once", () => {
      const moved = mapped.endpoints.map((endpoint) => ({ ...endpoint, port: 81, lastPort: 81 }));
      const note = "The router's own address is private.";
      const permanent = { ...mapped, endpoints: moved, leaseEndsMs: null, note };
      const { out, err } = shown([mapped, permanent, permanent, tick(1_000)]);
      expect(out.match(/┌/g)).toHaveLength(2);
      expect(out).toContain("NAT-PMP · until it is removed");
      expect(err).toBe(`Note: ${note}\n`);
    });
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
