import { expect, test } from "bun:test";
import { parseCidr } from "../wire/address.ts";
import { DEFAULT_OPTIONS, type ForwardOptions } from "./forward.ts";
import { differingOption } from "./group-options.ts";

const parsed = parseCidr("192.0.2.0/24");
const networks = parsed.ok ? [parsed.value] : [];

test.each<[string | null, Partial<ForwardOptions>]>([
  ["allow", { source: { allow: networks, deny: [] } }],
  ["deny", { source: { allow: [], deny: networks } }],
  ["connections", { limits: { connections: 1 } }],
  ["connections-per-source", { limits: { connectionsPerSource: 1 } }],
  ["new-per-source", { limits: { newPerSourcePerSec: 1 } }],
  ["bandwidth", { limits: { bandwidthBytesPerSec: 1 } }],
  ["idle", { tcpIdleSec: 1 }],
  ["half-close idle", { halfCloseIdleSec: 1 }],
  ["udp-idle", { udpIdleSec: 1 }],
  [null, {}],
  [null, { proxyProtocol: "v2" }],
  [null, { healthCheck: { intervalSec: 1, timeoutSec: 1, failures: 1 } }],
])("%p is what differs", (name, changed) => {
  const options = { ...DEFAULT_OPTIONS, ...changed };
  expect(differingOption(DEFAULT_OPTIONS, options)).toBe(name);
  expect(differingOption(options, structuredClone(options))).toBeNull();
});
