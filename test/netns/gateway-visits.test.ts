import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiProblem, type Client } from "../../src/servers/api/client.ts";
import type { Visit } from "../../src/servers/api/schema.ts";
import { inCountry, mmdb } from "../fixtures/mmdb.ts";
import { type ConsoleReady, firstAdmin } from "./api-kit.ts";
import { type GatewaySite, startGateway } from "./gateway-kit.ts";
import { run } from "./hatchway.ts";
import { startService } from "./kit.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { tool } from "./namespaces.ts";
import { eventually } from "./ready.ts";

setDefaultTimeout(40_000);

/** Who is connected through a real gateway's kernel, one by one, and how one of them is cut. */
const PORT = 7780;
let lab: Lab;
let site: GatewaySite;
let ann: Client;

beforeAll(async () => {
  lab = createLab({ natRules: false });
  // Root reads it: the gateway becomes another user, who could not.
  const countries = join(lab.directory, "countries.mmdb");
  writeFileSync(countries, mmdb([inCountry(`${lab.visitor.v4}/32`, "CH")]), { mode: 0o600 });
  const toml = `[console]\ncountry-database = ${JSON.stringify(countries)}\n`;
  site = await startGateway(lab, toml, "--console", `0.0.0.0:${PORT}`);
  const ready = (await site.child.event<{ console: ConsoleReady }>("ready")).console;
  await Promise.all([
    startService(lab, lab.agent, "--host", "0.0.0.0", "echo:tcp:8000-8001", "echo:udp:8002"),
    startService(lab, lab.agent, "--host", "::", "echo:tcp:8003"),
    startService(lab, lab.relay, "echo:tcp:8000"),
  ]);
  tool(["ip", "-n", lab.visitor.namespace, "route", "add", "fd00:77::/64", "via", lab.nat.v6]);
  ann = await firstAdmin(lab, lab.other, ready);
}, 60_000);
afterAll(() => lab?.[Symbol.asyncDispose]());

interface Talk {
  say(text: string): void;
  heard(): string;
  readonly exited: Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** One connection, or one flow, for as long as it is wanted. */
function talk(host: Host, address: string): Talk {
  const child = Bun.spawn(["ip", "netns", "exec", host.namespace, "socat", "-", address], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  let heard = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) heard += decoder.decode(bytes);
  })();
  return {
    say(text) {
      child.stdin.write(text);
      child.stdin.flush();
    },
    heard: () => heard,
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
      await reading;
    },
  };
}

async function answered(talking: Talk, text: string): Promise<void> {
  talking.say(`${text}\n`);
  await eventually(`an answer to ${text}`, () => talking.heard().includes(text) || undefined);
}

const visits = async (): Promise<readonly Visit[]> => (await ann.listVisits()).items;
const only = async (name: string): Promise<Visit> =>
  eventually(`a visit of ${name}`, async () => (await visits()).find(({ forwardName }) => forwardName === name));
const gone = (id: string) =>
  eventually("it is gone", async () => (await visits()).every((visit) => visit.id !== id) || undefined);

describe("a TCP visitor", () => {
  test("is shown with where it comes from, its bytes and its age; cut, it is reset, and may come again", async () => {
    await ann.addForward({ device: lab.agent.v4, ports: "9000:8000", name: "web" });
    await using other = talk(lab.visitor, `TCP4:${lab.nat.v4}:9000,sourceport=40009`);
    await answered(other, "other");
    await using out = talk(lab.agent, `TCP4:${lab.relay.v4}:8000`);
    await answered(out, "out");
    await using visitor = talk(lab.visitor, `TCP4:${lab.nat.v4}:9000,sourceport=40001`);
    await answered(visitor, "hello");
    const mine = await eventually("its visit", async () =>
      (await visits()).find(({ visitor: from }) => from === `${lab.visitor.v4}:40001`),
    );
    expect(mine).toMatchObject({ forwardName: "web", device: lab.agent.v4, entry: `${lab.nat.v4}:9000` });
    expect(mine.country).toBe("CH");
    expect(mine.bytesIn).toBeGreaterThan("hello\n".length);
    expect(mine.bytesOut).toBeGreaterThan("hello\n".length);
    expect(Math.abs(Date.now() - (mine.openedMs ?? 0))).toBeLessThan(10_000);
    // What the gateway leads out for its clients is no visit.
    expect((await visits()).length).toBe(2);
    const told = await run(lab, site.home, "status", "--visits");
    expect(told.stdout).toContain(`${lab.visitor.v4}:40001`);

    await ann.endVisit(mine.id);
    await gone(mine.id);
    visitor.say("into nothing\n");
    await visitor.exited;
    expect(visitor.heard()).toBe("hello\n");
    expect((await visits()).length).toBe(1);
    await expect(ann.endVisit(mine.id)).rejects.toThrow("over");
    await answered(other, "still here");
    await answered(out, "still out");
    await using again = talk(lab.visitor, `TCP4:${lab.nat.v4}:9000,sourceport=40001,reuseaddr`);
    await answered(again, "again");
  });

  test("is reset when the service speaks first after it was cut", async () => {
    await ann.addForward({ device: lab.agent.v4, ports: "9010", name: "speaker" });
    const service = talk(lab.agent, "TCP4-LISTEN:9010,reuseaddr");
    await eventually("a listener", async () => {
      const { stdout } = await lab.exec(lab.agent, ["ss", "-Htln", "sport", "=", ":9010"]);
      return stdout !== "" || undefined;
    });
    await using visitor = talk(lab.visitor, `TCP4:${lab.nat.v4}:9010`);
    visitor.say("hello\n");
    await eventually("the first word", () => service.heard().includes("hello") || undefined);
    await ann.endVisit((await only("speaker")).id);
    service.say("into nothing\n");
    await service.exited;
    visitor.say("into nothing, too\n");
    await visitor.exited;
    expect([visitor.heard(), service.heard()]).toEqual(["", "hello\n"]);
  });

  test("of a pinhole is reset at once", async () => {
    await ann.addForward({ device: lab.agent.v6, ports: "8003", name: "hole" });
    await using visitor = talk(lab.visitor, `TCP6:[${lab.agent.v6}]:8003`);
    await answered(visitor, "six");
    const mine = await only("hole");
    expect(mine).toMatchObject({ entry: `[${lab.agent.v6}]:8003`, bytesIn: expect.any(Number), country: null });
    await ann.endVisit(mine.id);
    visitor.say("into nothing\n");
    await visitor.exited;
    expect(visitor.heard()).toBe("six\n");
    await gone(mine.id);
  });
});

test("a UDP visitor's flow is forgotten; its next datagram is a new visit", async () => {
  await ann.addForward({ device: lab.agent.v4, ports: "9002:8002", protocol: "udp", name: "game" });
  await using visitor = talk(lab.visitor, `UDP4:${lab.nat.v4}:9002,sourceport=40002`);
  // A forward that is new has the kernel forget what came to its port before, a moment after it is there.
  const mine = await eventually("a flow that was ended", async () => {
    await answered(visitor, "one");
    const found = await only("game");
    const isOver = (error: unknown) => error instanceof ApiProblem && error.problem.status === 404;
    return ann.endVisit(found.id).then(
      () => found,
      (error: unknown) => (isOver(error) ? undefined : Promise.reject(error)),
    );
  });
  expect(mine).toMatchObject({ protocol: "udp", visitor: `${lab.visitor.v4}:40002`, bytesOut: expect.any(Number) });
  await gone(mine.id);
  expect((await visits()).some(({ forwardName }) => forwardName === "game")).toBe(false);
  await answered(visitor, "two");
  // By its bytes, begun anew: the kernel may call it as the one before (nf_ct_get_id: the same addresses, the same place in memory).
  expect((await only("game")).bytesIn ?? 0).toBeLessThanOrEqual(mine.bytesIn ?? 0);
});

test("what began before the kernel kept its bytes and its start is shown without them", async () => {
  const sysctl = async (value: 0 | 1) => {
    const settings = ["nf_conntrack_acct", "nf_conntrack_timestamp"].map((name) => `net.netfilter.${name}=${value}`);
    expect((await lab.exec(lab.nat, ["sysctl", "-q", "-w", ...settings])).exitCode).toBe(0);
  };
  await ann.addForward({ device: lab.agent.v4, ports: "9001:8001", name: "early" });
  await sysctl(0);
  await using visitor = talk(lab.visitor, `TCP4:${lab.nat.v4}:9001`);
  await answered(visitor, "early");
  await sysctl(1);
  expect(await only("early")).toMatchObject({ openedMs: null, bytesIn: null, bytesOut: null });
});

test("a clean end puts back what the kernel kept before", async () => {
  const kept = async () =>
    (
      await lab.exec(lab.nat, [
        "sysctl",
        "-n",
        "net.netfilter.nf_conntrack_acct",
        "net.netfilter.nf_conntrack_timestamp",
      ])
    ).stdout;
  expect(await kept()).toBe("1\n1");
  expect((await run(lab, site.home, "gateway", "stop", "--clean")).exitCode).toBe(0);
  await site.child.exited;
  expect(await kept()).toBe("0\n0");
});
