import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { ApiLab } from "../../test/fixtures/api-lab.ts";
import { startBalancer } from "../../test/fixtures/balancer.ts";
import { freePorts } from "../../test/fixtures/free-ports.ts";
import { makeZoo } from "../../test/fixtures/tunnel-lab.ts";
import { PortSharing } from "../dataplanes/io/port-sharing.ts";
import { ProxyGate, type ProxyRefusal } from "../dataplanes/io/proxy-gate.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import { systemSockets } from "../dataplanes/io/system-sockets.ts";
import { type Cidr, compileCidrs, parseCidr } from "../wire/address.ts";
import { encodeProxyHeader } from "../wire/proxy-protocol.ts";
import { serveApi } from "./api/server.ts";

/** The API behind a TCP load balancer: by Bun.serve, which never sees the header. */
const zoo = await makeZoo();
const PAIR = { cert: zoo.good.certificatePem, key: zoo.good.keyPem };
const HEADER = encodeProxyHeader("v2", {
  kind: "visitor",
  transport: "stream",
  source: { address: "192.0.2.1", port: 56_324 },
  destination: { address: "198.51.100.2", port: 443 },
});
const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

function gateOf(list: string) {
  const refused: [ProxyRefusal, string][] = [];
  const gate = new ProxyGate({ nowMs: () => 0, onRefused: (...refusal) => refused.push(refusal) });
  gate.change([cidr(list)]);
  const abort = new AbortController();
  const sweeper = startSweeper(abort.signal);
  ends.push(() => abort.abort());
  return { balancers: { gate, sweeper }, refused };
}

function start(list: string, tls: typeof PAIR | null = null) {
  const { balancers, refused } = gateOf(list);
  const seen: string[] = [];
  const lab = new ApiLab(
    {
      isOwnHost: () => true,
      // Asked with whoever a request is from.
      trustedProxies: () => ({ ...compileCidrs([]), contains: (address) => seen.push(address) < 0 }),
    },
    { balancers, ...(tls === null ? {} : { tls }) },
  );
  ends.push(() => lab.close());
  return { lab, refused, seen };
}

const get = (port: number, scheme = "http") =>
  fetch(`${scheme}://127.0.0.1:${port}/openapi.json`, { tls: { rejectUnauthorized: false }, keepalive: false });

describe("behind a balancer that is listed", () => {
  test.each([
    ["HTTP", null],
    ["HTTPS", PAIR],
  ])("%s: a request is the visitor's", async (scheme, tls) => {
    const { lab, refused, seen } = start("127.0.0.0/8", tls);
    await using balancer = await startBalancer(lab.port, HEADER, "together");
    expect((await get(balancer.port, scheme.toLowerCase())).status).toBe(200);
    expect(seen).toEqual(["192.0.2.1"]);
    expect(refused).toEqual([]);
  });

  test("with a renewed certificate too", async () => {
    const { lab, seen } = start("127.0.0.0/8", PAIR);
    await using balancer = await startBalancer(lab.port, HEADER, "together");
    lab.renew(PAIR);
    expect((await get(balancer.port, "https")).status).toBe(200);
    expect(seen).toEqual(["192.0.2.1"]);
  });

  test("without a header nobody is let in", async () => {
    const { lab, refused, seen } = start("127.0.0.0/8");
    await expect(get(lab.port)).rejects.toThrow();
    expect([refused, seen]).toEqual([[["missing", "127.0.0.1"]], []]);
  });
});

describe("from a source that is not listed", () => {
  test("a request is the peer's", async () => {
    const { lab, seen } = start("10.0.0.0/8");
    expect((await get(lab.port)).status).toBe(200);
    expect(seen).toEqual(["127.0.0.1"]);
  });

  test("a header is refused", async () => {
    const { lab, refused, seen } = start("10.0.0.0/8");
    await using balancer = await startBalancer(lab.port, HEADER, "together");
    await expect(get(balancer.port)).rejects.toThrow();
    expect([refused, seen]).toEqual([[["unlisted", "127.0.0.1"]], []]);
  });
});

/** Ports that this process listens at, of /proc: the one that connections are carried to is told nowhere. */
async function listeningPorts(): Promise<Set<number>> {
  const table = await Bun.file("/proc/self/net/tcp").text();
  const lines = table.split("\n").filter((line) => line.trim().split(/\s+/)[3] === "0A");
  return new Set(lines.map((line) => Number.parseInt(line.trim().split(/\s+/)[1]?.split(":")[1] ?? "", 16)));
}

test("who comes to the server itself, from this machine, is nobody", async () => {
  const before = await listeningPorts();
  const { lab, seen } = start("10.0.0.0/8");
  const inner = [...(await listeningPorts())].filter((port) => !before.has(port) && port !== lab.port);
  const answers = await Promise.all(
    inner.map((port) =>
      get(port).then(
        ({ status }) => status,
        () => null,
      ),
    ),
  );
  expect(answers).toContain(403);
  expect(answers).not.toContain(200);
  expect(seen).toEqual([]);
});

// SO_REUSEPORT's groups are Linux's.
test.if(process.platform === "linux")(
  "the port changes hands between processes, and requests under way are answered",
  async () => {
    const [port = 0] = await freePorts(1);
    const { lab } = start("10.0.0.0/8");
    const come = Promise.withResolvers<void>();
    const wanted = Promise.withResolvers<void>();
    const serving = (name: string, sharing: PortSharing, until?: Promise<void>) => {
      const fetch = async () => {
        come.resolve();
        await until;
        return new Response(name);
      };
      const { balancers } = gateOf("10.0.0.0/8");
      const served = serveApi({ ...lab.api, fetch }, { bind: "127.0.0.1", port, tls: null, sharing, balancers });
      if (!served.ok) throw new Error(served.error.message);
      ends.push(() => served.value.close());
      return served.value;
    };
    const before = serving("old", new PortSharing(systemSockets()), wanted.promise);
    const asked = get(port);
    await come.promise;
    expect(before.setShared(true)).toBe(true);
    const sharing = new PortSharing(systemSockets());
    sharing.expect([{ protocol: "tcp", port }]);
    serving("new", sharing);
    const answers = async () => Promise.all(Array.from({ length: 10 }, async () => (await get(port)).text()));
    expect(new Set(await answers())).toEqual(new Set(["new"]));
    const retired = before.retire();
    expect(new Set(await answers())).toEqual(new Set(["new"]));
    wanted.resolve();
    expect(await (await asked).text()).toBe("old");
    await retired;
  },
);

test("the end frees the port and cuts what is carried", async () => {
  const { lab } = start("10.0.0.0/8");
  const closed = new Promise<void>((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: lab.port }, () => void lab.close());
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
  await closed;
  await expect(get(lab.port)).rejects.toThrow();
});
