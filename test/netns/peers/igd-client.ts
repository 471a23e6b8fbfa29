/**
 * The UPnP-IGD client: `bun igd-client.ts GATEWAY STEP…`, GATEWAY a JSON object with the router, and `version`, `search`
 * (default true) or `descriptionUrl` of the probe. One JSON line a step, {event: STEP's name, …result}:
 *
 * probe            → ok, protocol, identity, gateway, descriptionUrl, ms, or the failure
 * map WISH, renew WISH, holds WISH, unmap WISH   with what was granted last
 * list, external, uptime
 * watch            tells of each time the router forgot: {event: "forgot"}; stays until the process ends
 * wait             for SIGHUP
 */
import type { Gateway, Grant, MappingWish } from "../../../src/core/router/model.ts";
import { probeIgd } from "../../../src/router/igd/probe.ts";
import { say } from "./bytes.ts";

const [where = "{}", ...steps] = process.argv.slice(2);
const { version, descriptionUrl, ...gateway } = JSON.parse(where) as Gateway & {
  readonly version?: 1 | 2;
  readonly descriptionUrl?: string;
};
const { signal } = new AbortController();
const ignored: string[] = [];
const startedMs = performance.now();
const probed = await probeIgd({
  gateway,
  signal,
  onIgnored: (reason, from) => ignored.push(`${reason} ${from}`),
  onDeaf: (message) => say({ event: "deaf", message }),
  random: Math.random,
  nowMs: () => performance.now(),
  ...(version === undefined ? {} : { version }),
  ...(descriptionUrl === undefined ? {} : { descriptionUrl }),
});
const ms = Math.round(performance.now() - startedMs);
if (!probed.ok) {
  say({ event: "probe", ok: false, error: probed.error, ignored, ms });
} else {
  const mapper = probed.value;
  const { protocol, identity } = mapper;
  say({ event: "probe", ok: true, protocol, identity, descriptionUrl: mapper.descriptionUrl, ignored, ms });
  let held: Grant | null = null;
  let wake: () => void = () => {};
  process.on("SIGHUP", () => wake());
  for (const step of steps) {
    const [name = "", rest = "{}"] = step.split(/ (.*)/s);
    const wish = JSON.parse(rest) as MappingWish;
    switch (name) {
      case "map":
      case "renew": {
        const mapped = await mapper.map(wish, name === "renew" ? held : null, signal);
        if (mapped.ok) held = mapped.value;
        say({ event: name, ...mapped });
        break;
      }
      case "holds":
      case "unmap": {
        const grant: Grant = held ?? {
          externalAddress: null,
          externalPort: wish.externalPort,
          lifetimeSec: null,
          ticket: "",
        };
        say({ event: name, ...(await mapper[name](wish, grant, signal)) });
        break;
      }
      case "list":
        say({ event: name, ...(await mapper.list(signal)) });
        break;
      case "external":
        say({ event: name, ...(await mapper.externalAddress(signal)) });
        break;
      case "uptime":
        say({ event: name, ...(await mapper.uptimeSec(signal)) });
        break;
      case "watch":
        mapper.onForgot(() => say({ event: "forgot" }));
        say({ event: "watching" });
        break;
      case "wait":
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        break;
      default:
        throw new Error(`no step ${name}`);
    }
  }
  if (!steps.includes("watch")) process.exit(0);
}
