import { afterAll, describe, expect, test } from "bun:test";
import { dataDirectories, fakeWorld, outcome } from "../../test/fixtures/fake-world.ts";
import type { ExposeByBestWayOptions, ExposeEvent, ForwardSpec } from "../roles/control.ts";
import type { Io } from "./context.ts";
import { runProgram } from "./program.ts";

const { freshData, joinedData, remove } = dataDirectories();
afterAll(remove);

/** Runs `expose` until its first address, with what its roles were asked. */
async function exposed(data: string, args: readonly string[], gateway: string | null = null) {
  const world = fakeWorld();
  const asked: { standalone?: ForwardSpec; best?: ExposeByBestWayOptions } = {};
  const standalone = await world.io.roles.standalone();
  const roles: Io["roles"] = {
    ...world.io.roles,
    findVpnGateway: async () => async () => gateway,
    standalone: async () => (specs, signal) => {
      [asked.standalone] = specs as [ForwardSpec];
      return standalone(specs, signal);
    },
    exposeByBestWay: async () =>
      async function* (options, signal): AsyncGenerator<ExposeEvent> {
        asked.best = options;
        yield { event: "way", v: 1, via: "router", state: "left", message: "CGNAT is above it" };
        yield { event: "way", v: 1, via: "relay", state: "taken", message: "Visitors come in by the relay instead." };
        yield* options.agent.attach([options.remote], signal);
      },
  };
  const ended = runProgram(["expose", ...args, "--data", data], { ...world.io, roles });
  const lines = await Promise.race([world.lines(1), ended.then(() => [])]);
  world.stopped.abort();
  return { ...asked, code: await ended, lines, err: world.stderr() };
}

const ROUTERS = "router.example:8080/tcp → 192.168.1.20:8080";
const RELAYS = "relay.example:8080/tcp → 127.0.0.1:8080";

describe("the way", () => {
  test.each<[string, boolean, readonly string[], string, RegExp]>([
    ["the relay, when one was joined", true, [], RELAYS, /^$/],
    ["the router, when none was", false, [], ROUTERS, /^No relay was joined here, so your own router is asked/],
    ["the router, by name", true, ["--via", "router"], ROUTERS, /^$/],
    [
      "auto without a relay",
      false,
      ["--via", "auto"],
      ROUTERS,
      /^No relay was joined here, so nobody outside can look/,
    ],
    ["auto", true, ["--via", "auto"], RELAYS, /^Not by your router: CGNAT is above it\.\nBy the relay: Visitors come/],
  ])("%s", async (_name, joined, args, line, said) => {
    const { code, lines, err } = await exposed(joined ? await joinedData() : freshData(), ["8080", ...args]);
    expect({ code, lines }).toEqual({ code: 0, lines: [line] });
    expect(err).toMatch(said);
  });

  test("vpn: the gateway that is guessed, or the one that is named", async () => {
    const guessed = await exposed(freshData(), ["8080", "--via", "vpn"], "10.2.0.1");
    expect(guessed.standalone).toMatchObject({ upstream: { gateway: "10.2.0.1" } });
    expect(guessed.err).toStartWith("Asking 10.2.0.1, as the gateway of the VPN");
    const named = await exposed(freshData(), ["8080", "--via", "vpn", "--router", "10.9.0.1"]);
    expect(named.standalone).toMatchObject({ upstream: { gateway: "10.9.0.1" } });
    const none = await exposed(freshData(), ["8080", "--via", "vpn"]);
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining("name its gateway with --router") });
  });

  test("auto is asked with both forwards, and the relay to compare the router's address by", async () => {
    const { best } = await exposed(await joinedData(), ["8000:80", "--via", "auto", "--router", "192.168.1.1"]);
    expect(best).toMatchObject({
      upstream: { upstream: { gateway: "192.168.1.1", ports: [{ first: 8000, internalFirst: 80 }] } },
      remote: { remote: { ports: [{ first: 8000, internalFirst: 80 }] }, to: "127.0.0.1" },
      stunServer: { host: "relay.example", port: 7744 },
    });
  });

  test("auto, with what a router has not: the reason instead of its forward", async () => {
    const { best } = await exposed(await joinedData(), ["8080", "--via", "auto", "--allow", "192.0.2.0/24"]);
    expect(best?.upstream).toBe("--allow is for the relay: a router has no such thing.");
  });
});

describe("refused", () => {
  test.each([
    [
      "relay-only options at a router",
      ["--via", "router", "--allow", "::/0"],
      "--allow is for the relay: a router has no such thing.",
    ],
    [
      "relay-only options without a relay",
      ["--allow", "::/0"],
      "--allow is for the relay: a router has no such thing. No relay was joined here: join one for that.",
    ],
    ["an unknown way", ["--via", "moon"], '--via must be relay, router, vpn or auto, not "moon".'],
    [
      "a router for the relay",
      ["--via", "relay", "--router", "10.0.0.1"],
      "--router is for --via router, vpn or auto: the relay asks none.",
    ],
  ])("%s", async (_name, args, message) => {
    const { code, out, err } = await outcome(["expose", "8080", ...args, "--data", freshData()]);
    expect({ code, out, err }).toEqual({ code: 2, out: "", err: `hatchway: ${message}\n` });
  });
});

test("--json has the ways as lines of their own, before the address", async () => {
  const { lines } = await exposed(await joinedData(), ["8080", "--via", "auto", "--json"]);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ event: "way", via: "router", state: "left" });
});
