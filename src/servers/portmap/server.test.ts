import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { FakeDesk } from "../../../test/fixtures/fake-desk.ts";
import { BOTH, MAP, pcpBytes } from "../../../test/fixtures/portmap-client.ts";
import { ServerEpoch } from "../../core/mapping/epoch.ts";
import { bindUdp } from "../../dataplanes/io/udp-socket.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { decodeNatPmpResponse, encodeNatPmpRequest } from "../../wire/natpmp.ts";
import { decodePcpResponse } from "../../wire/pcp/response.ts";
import { PortMapServer, type PortMapServerOptions } from "./server.ts";

const LOCAL = "127.0.0.1";
const ADDRESS_REQUEST = encodeNatPmpRequest({ kind: "external-address" });

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}
const lo = (addresses: readonly string[], networks: readonly string[]) => ({
  name: "lo",
  addresses,
  networks: networks.map(cidr),
});
const LO = lo([LOCAL], ["127.0.0.0/8"]);

let stop: AbortController;
let desk: FakeDesk;
let failures: unknown[];
const clock = { nowMs: 0 };

beforeEach(() => {
  stop = new AbortController();
  desk = new FakeDesk({ inside: ["127.0.0.0/8", "::1/128"] });
  failures = [];
});
afterEach(() => stop.abort());

function serve(interfaces = [LO], options: Partial<PortMapServerOptions> = {}) {
  // No announcements: the epoch's turn comes with a later clock.
  const epoch = ServerEpoch.lost(clock.nowMs + 1_000_000);
  const onFailure = (error: unknown) => failures.push(error);
  const server = new PortMapServer({
    desk,
    epoch,
    nowMs: () => clock.nowMs,
    signal: stop.signal,
    onFailure,
    port: 0,
    ...options,
  });
  expect(server.apply({ ...BOTH, interfaces })).toEqual([]);
  const endpoint = server.endpoints[0];
  if (endpoint === undefined) throw new Error("it listens nowhere");
  return { server, endpoint };
}

/** A client's socket, and what it got so far. */
function newClient(address = LOCAL) {
  const got: { bytes: Uint8Array; from: string; port: number }[] = [];
  let heard = Promise.withResolvers<void>();
  const bound = bindUdp(address, 0, {
    data(_socket, bytes, port, from) {
      got.push({ bytes: bytes.slice(), from, port });
      heard.resolve();
      heard = Promise.withResolvers();
    },
    error: () => undefined,
  });
  if (!bound.ok) throw bound.error;
  const { value: socket } = bound;
  stop.signal.addEventListener("abort", () => socket.close());
  return {
    got,
    send: (bytes: Uint8Array, to: { address: string; port: number }) => socket.send(bytes, to.port, to.address),
    async until(count: number) {
      while (got.length < count) await heard.promise;
      return got;
    },
  };
}

/** Another client's exchange: what was sent before has been read by then. */
async function mark(to: { address: string; port: number }) {
  const client = newClient("127.0.0.9");
  client.send(ADDRESS_REQUEST, to);
  await client.until(1);
}

const map = (internalPort: number) => pcpBytes({ ...MAP, internalPort, protocol: 17 }, { clientAddress: LOCAL });

test("both protocols are answered from the address and port that were asked", async () => {
  const { server, endpoint } = serve();
  const client = newClient();
  client.send(ADDRESS_REQUEST, endpoint);
  client.send(map(4000), endpoint);
  const got = await client.until(2);
  expect(got.map(({ from, port }) => [from, port])).toEqual([0, 1].map(() => [LOCAL, endpoint.port]));
  expect(decodeNatPmpResponse(got[0]!.bytes)).toMatchObject({ value: { address: "203.0.113.20", epochSec: 100 } });
  expect(decodePcpResponse(got[1]!.bytes)).toMatchObject({ value: { kind: "success", body: { externalPort: 4000 } } });
  expect(server.counts).toEqual({ answered: 2, offLink: 0, tooMany: 0, repeated: 0, ignored: 0 });
});

test("IPv6 too", async () => {
  const { endpoint } = serve([lo(["::1"], ["::1/128"])]);
  const client = newClient("::1");
  client.send(pcpBytes({ ...MAP, externalAddress: "::" }, { clientAddress: "::1" }), endpoint);
  const [answer] = await client.until(1);
  expect(decodePcpResponse(answer!.bytes)).toMatchObject({
    value: { kind: "success", body: { externalAddress: "::1" } },
  });
});

test("a source outside the interface's networks gets nothing", async () => {
  const { server, endpoint } = serve([lo([LOCAL], ["127.0.0.0/29", "127.0.0.9/32"])]);
  const stranger = newClient("127.0.0.8");
  stranger.send(ADDRESS_REQUEST, endpoint);
  await mark(endpoint);
  expect(server.counts).toMatchObject({ offLink: 1, answered: 1 });
  expect(stranger.got).toEqual([]);
});

describe("while the desk is at work", () => {
  test("answers keep their order, a repeated request is done and answered once, others do not wait", async () => {
    const { server, endpoint } = serve();
    const working = Promise.withResolvers<void>();
    desk.gate = () => working.promise;
    const client = newClient();
    for (const bytes of [map(4000), map(4000), ADDRESS_REQUEST, map(4001), map(4000)]) client.send(bytes, endpoint);
    await mark(endpoint);
    expect(desk.asked).toHaveLength(1);
    expect(client.got).toEqual([]);
    working.resolve();
    const got = await client.until(3);
    const ports = got.map(({ bytes }) => (bytes[0] === 0 ? "address" : bytes[41]! + 256 * bytes[40]!));
    expect(ports).toEqual([4000, "address", 4001]);
    await mark(endpoint);
    expect(client.got).toHaveLength(3);
    expect(server.counts).toMatchObject({ answered: 5, repeated: 2 });
  });
  test("over the bound there is silence", async () => {
    const { server, endpoint } = serve([LO], { turns: { total: 100, perClient: 2 } });
    const working = Promise.withResolvers<void>();
    desk.gate = () => working.promise;
    const client = newClient();
    for (const port of [4000, 4001, 4002]) client.send(map(port), endpoint);
    await mark(endpoint);
    expect(server.counts.tooMany).toBe(1);
    working.resolve();
    await client.until(2);
    expect(desk.asked).toHaveLength(2);
  });
  test("a server that ends then answers nobody any more", async () => {
    const { endpoint } = serve();
    const working = Promise.withResolvers<void>();
    desk.gate = () => working.promise;
    newClient().send(map(4000), endpoint);
    await mark(endpoint);
    stop.abort();
    working.resolve();
    await new Promise(setImmediate);
    expect(failures).toEqual([]);
  });
});

test("a client over its rate is not answered until it has rested; another is", async () => {
  const { server, endpoint } = serve();
  const client = newClient();
  for (let n = 0; n < 150; n++) {
    client.send(ADDRESS_REQUEST, endpoint);
    if (n % 30 === 29) await mark(endpoint);
  }
  expect(server.counts).toMatchObject({ answered: 105, tooMany: 50 });
  clock.nowMs += 1_000;
  client.send(ADDRESS_REQUEST, endpoint);
  await client.until(101);
});

test("requests that come together while the gateway is busy all get in", async () => {
  const { server, endpoint } = serve();
  // The usual 208 KiB hold 277 of them; twice as much is the least that any user may have.
  const burst = 400;
  const client = newClient();
  for (let n = 0; n < burst; n++) client.send(ADDRESS_REQUEST, endpoint);
  await mark(endpoint);
  const { answered, tooMany } = server.counts;
  expect(answered + tooMany).toBe(burst + 1);
});

test("a gateway that fails is told, and the client asks again later", async () => {
  const { endpoint } = serve();
  desk.gate = () => Promise.reject(new Error("no kernel"));
  const client = newClient();
  client.send(map(4000), endpoint);
  const [answer] = await client.until(1);
  expect(decodePcpResponse(answer!.bytes)).toMatchObject({ value: { kind: "refused", result: 8 } });
  expect(failures).toEqual([new Error("no kernel")]);
});

describe("settings", () => {
  test("a reload closes and opens what differs, and changes what is spoken", async () => {
    const { server, endpoint } = serve([lo([LOCAL, "127.0.0.2"], ["127.0.0.0/8"])]);
    server.apply({ ...BOTH, pcp: false, interfaces: [lo([LOCAL, "127.0.0.3"], ["127.0.0.0/8"])] });
    expect(server.endpoints[0]).toEqual(endpoint);
    expect(server.endpoints.map(({ address }) => address)).toEqual([LOCAL, "127.0.0.3"]);
    const client = newClient();
    client.send(map(4000), endpoint);
    const [answer] = await client.until(1);
    expect(decodeNatPmpResponse(answer!.bytes)).toMatchObject({ value: { kind: "unsupported-version" } });
    server.apply({ natPmp: false, pcp: false, thirdParty: false, interfaces: [LO] });
    expect(server.endpoints).toEqual([]);
  });
  test("a port that another program has is told in one sentence, and tried again", () => {
    const other = bindUdp(LOCAL, 0, {});
    if (!other.ok) throw other.error;
    const { port } = other.value;
    const server = new PortMapServer({
      desk,
      epoch: ServerEpoch.lost(clock.nowMs + 1_000_000),
      nowMs: () => clock.nowMs,
      signal: stop.signal,
      onFailure: () => undefined,
      port,
    });
    const settings = { ...BOTH, interfaces: [lo([LOCAL, "127.0.0.2"], ["127.0.0.0/8"])] };
    expect(server.apply(settings)).toEqual([
      {
        interfaceName: "lo",
        message: `Another program (miniupnpd?) has ${LOCAL}:${port}/udp; stop it, or turn NAT-PMP and PCP off in [upnp].`,
      },
    ]);
    expect(server.endpoints).toEqual([{ address: "127.0.0.2", port }]);
    other.value.close();
    expect(server.apply(settings)).toEqual([]);
  });
  test("an address or an interface that is not there", () => {
    const { server } = serve();
    const nowhere = { name: "no-such-link", addresses: ["127.0.0.5"], networks: [] };
    const failed = server.apply({ ...BOTH, interfaces: [LO, lo(["192.0.2.7"], []), nowhere] });
    expect(failed.map(({ message }) => message)).toEqual([
      '192.0.2.7 is not an address of this machine; serve lo at one that "ip address" shows.',
      'There is no interface no-such-link; name one that "ip link" shows.',
    ]);
    expect(server.endpoints).toHaveLength(1);
  });
});
