import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { specOfDraft } from "../../roles/console/drafts.ts";
import { loginsOf } from "../../roles/console/site-logins.ts";
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
    ["a site", "8080", { host: ["app.example.org", "www.example.org"], to: "web.lan" }],
    ["a site with a name and sources", "8080", { host: ["app.example.org"], name: "app", allow: ["192.0.2.0/24"] }],
    ["a site of gRPC", "8080", { host: ["app.example.org"], http2: true }],
    ["a site that is passed through", "8443", { host: ["app.example.org"], tls: "pass", proxyProtocol: "v2" }],
    ["many names, whose title is cut", "8080", { host: Array.from({ length: 9 }, (_, n) => `app${n}.example.org`) }],
  ])("%s", async (_what, ports, given) => {
    const { remote: spec, to } = await assignedSpecOf(ports, given);
    expect(specOfDraft(draftOf({ device: "den", spec, to }))).toEqual({ spec, to });
  });

  test("a site's logins, which are hashes from then on", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "logins.txt");
    writeFileSync(file, "guest:swordfish\nann:trout\n", { mode: 0o600 });
    const given = { host: ["app.example.org"], basicAuthFile: file };
    const { remote: spec, to } = await assignedSpecOf("8080", given);
    const draft = draftOf({ device: "den", spec, to });
    expect(JSON.stringify(draft)).not.toMatch(/swordfish|trout/);
    const logins = await loginsOf(draft.logins ?? [], []);
    expect(logins.map(({ user }) => user)).toEqual(["guest", "ann"]);
    expect(specOfDraft(draft, logins)).toEqual({ spec, to });
  });
});
