import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { ControlError } from "../servers/local/error.ts";
import { forwardPatchOf } from "./forward-patch.ts";

type Given = Readonly<Record<string, unknown>>;

describe("the options of forward set as a patch of the API", () => {
  test.each<[string, Given, object]>([
    ["sources", { allow: ["192.0.2.0/24", "2001:db8::/32"] }, { allow: ["192.0.2.0/24", "2001:db8::/32"] }],
    ["nobody's sources", { allow: ["none"], deny: ["none"] }, { allow: [], deny: [] }],
    ["limits", { connections: "5", bandwidth: "10 MB/s" }, { connections: 5, bandwidth: "10 MB/s" }],
    ["rates", { newPerSource: "300/m" }, { newPerSource: "300/m" }],
    ["a rate without its unit", { newPerSource: "5" }, { newPerSource: "5/s" }],
    [
      "limits that go",
      { connections: "none", connectionsPerSource: "none", newPerSource: "none", bandwidth: "none" },
      { connections: null, connectionsPerSource: null, newPerSource: null, bandwidth: null },
    ],
    ["ports and host", { ports: "8000:80", to: "nas.lan" }, { ports: "8000:80", to: "nas.lan" }],
    ["this machine again", { to: "none" }, { to: null }],
    ["a protocol", { protocol: "tcp+udp" }, { protocol: "tcp+udp" }],
    [
      "PROXY, and no health check",
      { proxyProtocol: "v2", healthCheck: "none" },
      { proxyProtocol: "v2", healthCheck: null },
    ],
    ["a health check", { healthCheck: true }, { healthCheck: true }],
    ["silence", { idle: "10m", udpIdle: "none" }, { idle: "10m", udpIdle: null }],
    ["what a site has", { host: ["app.example.org"], tls: "pass" }, { host: ["app.example.org"], tls: "pass" }],
    ["a site's mode alone", { tls: "off" }, { tls: "off" }],
    ["a site without logins", { basicAuthFile: "none" }, { logins: [] }],
    ["off", { disable: true }, { enabled: false }],
    ["on again, with a limit", { enable: true, connections: "2" }, { enabled: true, connections: 2 }],
  ])("%s", async (_what, given, patch) => {
    expect(await forwardPatchOf(given)).toEqual(patch);
  });

  test("logins go as hashes", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "logins");
    writeFileSync(file, "ada:correct horse\n", { mode: 0o600 });
    expect(await forwardPatchOf({ basicAuthFile: file })).toEqual({
      logins: [{ user: "ada", password: expect.stringMatching(/^\$argon2id\$/) }],
    });
  });

  test.each<[string, Given, string]>([
    ["nothing", {}, "Say what is to change"],
    ["on and off", { enable: true, disable: true }, "Say --enable or --disable, not both."],
    ["a network that is none", { allow: ["999"] }, '--allow: "999" is not a network'],
    ["a network beside none", { allow: ["none", "192.0.2.0/24"] }, '--allow: "none" is not a network'],
    [
      "a number that is none",
      { connectionsPerSource: "many" },
      '--connections-per-source must be a number, not "many".',
    ],
    ["ports that are none", { ports: "9-8" }, "PORTSET: Write the lower port first."],
    ["no ports", { ports: "none" }, '--ports cannot be "none": give it a value.'],
    ["no mode of TLS", { tls: "none" }, '--tls cannot be "none": give it a value.'],
  ])("%s is refused with a sentence", async (_what, given, sentence) => {
    const refused = await forwardPatchOf(given).then(null, (error: unknown) => error);
    expect(refused).toBeInstanceOf(ControlError);
    expect(refused).toMatchObject({ kind: "usage", message: expect.stringContaining(sentence) });
  });
});
