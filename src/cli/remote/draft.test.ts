import { describe, expect, test } from "bun:test";
import { specOfDraft } from "../../roles/console/drafts.ts";
import { assignedSpecOf } from "../entry-options.ts";
import { draftOf } from "./draft.ts";

/** What the API makes of the words is the forward that a command on the relay's machine makes of the options. */
describe("a forward's options come through the API as they were given", () => {
  test.each<[string, string, Readonly<Record<string, unknown>>]>([
    ["ports alone", "8840,8820", {}],
    ["a range of both protocols", "8810-8815", { protocol: "tcp+udp" }],
    ["outside:inside", "8000:80/tcp,53/udp", {}],
    ["a name", "80", { name: "Ünï 1" }],
    ["other ports outside", "80-81,90", { as: "8000-8001,9000" }],
    ["any ports outside", "80-82,53/udp", { as: "any" }],
    ["many ports, whose name is cut", Array.from({ length: 30 }, (_, n) => 8_000 + 2 * n).join(","), {}],
    ["a host", "80", { to: "web.lan" }],
    ["an IPv6 host", "80", { to: "2001:db8::1" }],
    ["sources", "80", { allow: ["192.0.2.1", "2001:db8::/32"], deny: ["192.0.2.128/25"] }],
    ["limits", "80", { connections: "5", connectionsPerSource: "2", newPerSource: "5/s", bandwidth: "10 MB/s" }],
    ["a rate a minute", "80", { newPerSource: "7/m" }],
    ["a bandwidth in bits", "80", { bandwidth: "1.5 Mbit/s" }],
    ["silence", "80/tcp,80/udp", { idle: "10m", udpIdle: "30s" }],
    ["the usual silence", "80", { idle: "never", udpIdle: "120s" }],
    ["a lease", "80", { lifetime: "2h" }],
    ["for ever", "80", { lifetime: "permanent" }],
    ["a group", "80", { group: "pair" }],
    ["PROXY", "80", { proxyProtocol: "v2" }],
    ["a health check", "80", { healthCheck: true }],
    ["a health check's interval", "80", { healthCheck: "45s" }],
  ])("%s", async (_what, ports, given) => {
    const { remote: spec, to } = await assignedSpecOf(ports, given);
    expect(specOfDraft(draftOf({ device: "den", spec, to }))).toEqual({ spec, to });
  });
});
