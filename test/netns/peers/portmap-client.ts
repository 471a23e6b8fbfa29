/**
 * The PCP and NAT-PMP client: `bun portmap-client.ts OPTIONS STEP…`, OPTIONS a JSON object: `family`, `only` (a protocol;
 * the steps are asked of it) and `gateway`, what differs from the router that this machine's routes name. One JSON line a
 * step, {event: STEP's name, …result}:
 *
 * network          → gateways, pointToPoint, problem
 * probe            → pcp, natPmp: the protocol or the failure's kind; ignored, ms
 * map WISH, renew WISH, unmap WISH   with what was granted last
 * external, uptime
 * watch            tells of each time the router forgot: {event: "forgot"}; stays until the process ends
 * wait             for SIGHUP
 */
import type { Grant, Mapper, MappingWish, RouterFailure } from "../../../src/core/router/model.ts";
import { monotonicMs } from "../../../src/os/clock.ts";
import { readNetwork } from "../../../src/router/network.ts";
import { probePortMap } from "../../../src/router/portmap/probe.ts";
import type { Result } from "../../../src/wire/result.ts";
import { say } from "./bytes.ts";

interface Options {
  readonly family?: 4 | 6;
  readonly only?: "pcp" | "nat-pmp";
  readonly gateway?: object;
}

const [optionsText = "{}", ...steps] = process.argv.slice(2);
const { family = 4, only = "pcp", gateway: over = {} } = JSON.parse(optionsText) as Options;
const { signal } = new AbortController();
const ignored: string[] = [];
const network = await readNetwork(signal);
const found = network.gateways.find((one) => one.family === family);
if (found === undefined) throw new Error(`no router of IPv${family}: ${JSON.stringify(network)}`);
const startedMs = monotonicMs();
const probed = await probePortMap({
  gateway: { ...found, ...over },
  signal,
  onIgnored: (reason, from) => ignored.push(`${reason} ${from}`),
  onDeaf: (message) => say({ event: "deaf", message }),
  randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  nowMs: monotonicMs,
});
const ms = Math.round(monotonicMs() - startedMs);
const word = (result: Result<Mapper, RouterFailure>) => (result.ok ? result.value.protocol : result.error.kind);
const chosen = only === "pcp" ? probed.pcp : probed.natPmp;
let held: Grant | null = null;
let wake: () => void = () => {};
process.on("SIGHUP", () => wake());

function mapper(): Mapper {
  if (!chosen.ok) throw new Error(chosen.error.message);
  return chosen.value;
}

for (const step of steps) {
  const [name = "", rest = "{}"] = step.split(/ (.*)/s);
  const wish = JSON.parse(rest) as MappingWish;
  switch (name) {
    case "network":
      say({ event: name, ...network });
      break;
    case "probe":
      say({ event: name, pcp: word(probed.pcp), natPmp: word(probed.natPmp), ignored, ms });
      break;
    case "map":
    case "renew": {
      const mapped = await mapper().map(wish, name === "renew" ? held : null, signal);
      if (mapped.ok) held = mapped.value;
      say({ event: name, ...mapped });
      break;
    }
    case "unmap": {
      const grant = held ?? { externalAddress: null, externalPort: 0, lifetimeSec: null, ticket: "00".repeat(12) };
      say({ event: name, ...(await mapper().unmap(wish, grant, signal)) });
      break;
    }
    case "external":
      say({ event: name, ...(await mapper().externalAddress(signal)) });
      break;
    case "uptime":
      say({ event: name, ...(await mapper().uptimeSec(signal)) });
      break;
    case "watch":
      mapper().onForgot(() => say({ event: "forgot" }));
      say({ event: "watching" });
      break;
    case "wait":
      await new Promise<void>((resolve) => {
        // Neither the client's idle sockets nor a signal's handler keeps Node running.
        const timer = setInterval(() => {}, 60_000);
        wake = () => {
          clearInterval(timer);
          resolve();
        };
      });
      break;
    default:
      throw new Error(`no step ${name}`);
  }
}
if (!steps.includes("watch")) process.exit(0);
