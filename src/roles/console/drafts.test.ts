import { describe, expect, test } from "bun:test";
import { ApiFailure } from "../../servers/api/backend.ts";
import type { ForwardDraft, ForwardPatch } from "../../servers/api/schema.ts";
import { formatMappings } from "../config/ports.ts";
import { patched, specOfDraft } from "./drafts.ts";

const draft = (more: Partial<ForwardDraft> = {}): ForwardDraft => ({ device: "den", ports: "8840, 8820", ...more });

function refusalOf(make: () => unknown): ApiFailure {
  try {
    make();
  } catch (error) {
    if (error instanceof ApiFailure) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a draft", () => {
  test("is a forward of the device's own machine, its ports kept for good", () => {
    const { spec, to } = specOfDraft(draft());
    expect(to).toBe("127.0.0.1");
    expect(spec).toMatchObject({
      name: expect.stringContaining("8820"),
      enabled: true,
      lifetimeSec: null,
      group: null,
    });
    expect(spec.id).toStartWith("relay/");
  });

  test("has what the command line has, under its own names", () => {
    const { spec, to } = specOfDraft(
      draft({
        ports: "8000:80",
        to: "192.168.1.20",
        name: "web",
        allow: ["192.0.2.0/24"],
        connections: 5,
        newPerSource: "5/s",
        bandwidth: "1 MB/s",
        proxyProtocol: "v2",
        healthCheck: true,
        enabled: false,
      }),
    );
    expect(to).toBe("192.168.1.20");
    expect(spec).toMatchObject({
      id: "relay/web",
      ports: [{ protocol: "tcp", first: 8000, internalFirst: 80 }],
      enabled: false,
      options: {
        source: { allow: ["192.0.2.0/24"] },
        limits: { connections: 5, newPerSourcePerSec: 5, bandwidthBytesPerSec: 1_000_000 },
        proxyProtocol: "v2",
        healthCheck: { intervalSec: 10 },
      },
    });
  });

  test.each<[string, Partial<ForwardDraft>, string, RegExp]>([
    ["ports", { ports: "8815-8810" }, "ports", /^ports: Write the lower port first/],
    ["a word", { ports: "minecraf" }, "ports", /^ports: /],
    ["a network", { allow: ["300.0.0.0/8"] }, "allow", /^allow/],
    ["a rate", { newPerSource: "often" }, "newPerSource", /^newPerSource/],
    ["a host", { to: "a b" }, "to", /^to/],
  ])("with wrong %s is refused by its field", (_name, more, path, message) => {
    const { kind, errors } = refusalOf(() => specOfDraft(draft(more)));
    expect(kind).toBe("invalid");
    expect(errors).toMatchObject([{ path, message: expect.stringMatching(message) }]);
  });
});

describe("a patch", () => {
  const { spec, to } = specOfDraft(
    draft({ name: "web", ports: "8000:80", allow: ["192.0.2.0/24"], connections: 5, bandwidth: "1 MB/s" }),
  );
  const present = { spec, to, ports: formatMappings(spec.ports) };

  test.each<[string, ForwardPatch, object]>([
    ["of nothing", {}, spec],
    ["disables", { enabled: false }, { ...spec, enabled: false }],
    ["renames, and the forward stays the same one", { name: "site" }, { ...spec, name: "site" }],
    ["takes a limit away", { connections: null }, { options: { limits: { bandwidthBytesPerSec: 1_000_000 } } }],
    ["sets a limit", { connectionsPerSource: 2 }, { options: { limits: { connections: 5, connectionsPerSource: 2 } } }],
    ["ends silence", { idle: "10m", udpIdle: "30s" }, { options: { tcpIdleSec: 600, udpIdleSec: 30 } }],
    ["suffers silence again", { idle: null, udpIdle: null }, { options: { tcpIdleSec: null, udpIdleSec: 120 } }],
    ["opens to everybody", { allow: [] }, { options: { source: { allow: [], deny: [] } } }],
    ["has other ports", { ports: "8810-8815" }, { ports: [{ first: 8810, last: 8815 }] }],
    ["has another protocol", { ports: "8000:80", protocol: "udp" }, { ports: [{ protocol: "udp", first: 8000 }] }],
  ])("%s", (_name, patch, expected) => {
    const next = patched(present, patch);
    expect(next.spec).toMatchObject(expected);
    expect(next.spec.id).toBe("relay/web");
    expect(next.to).toBe(to);
  });

  test("leads elsewhere, and back to its own machine", () => {
    const elsewhere = patched(present, { to: "192.168.1.20" });
    expect(elsewhere.to).toBe("192.168.1.20");
    expect(patched({ ...present, to: elsewhere.to }, { to: null }).to).toBe("127.0.0.1");
  });

  test("that is wrong is refused by its field", () => {
    expect(refusalOf(() => patched(present, { ports: "0" })).errors).toMatchObject([{ path: "ports" }]);
  });
});
