import { afterEach, describe, expect, test } from "bun:test";
import { FakeDesk } from "../../../test/fixtures/fake-desk.ts";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import type { InsideInterface } from "../../core/mapping/inside.ts";
import { bindSharedUdp, bindUdp, type UdpSocket } from "../../dataplanes/io/udp-socket.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { SSDP_GROUP_V4 } from "../../wire/igd/ssdp.ts";
import { type Admitted, Connections } from "./http-server.ts";
import { type IgdOptions, IgdServer } from "./server.ts";
import { ssdpFailure } from "./ssdp-server.ts";

/** On the loopback interface, with a port for the searches that is free. */
const LOOPBACK = { name: "lo", addresses: ["127.0.0.1", "::1"], networks: [cidr("127.0.0.0/8"), cidr("::1/128")] };
const open = new Set<() => void>();

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

afterEach(() => {
  for (const close of open) close();
  open.clear();
});

/** A UDP socket of a client's, which tells what it hears. */
class Ear {
  readonly heard: string[] = [];
  #wake: () => void = () => {};

  constructor(readonly socket: UdpSocket) {}

  static on(address: string, port: number): Ear {
    const ear: { value?: Ear } = {};
    const bound = bindSharedUdp(address, port, { data: (_socket, bytes) => ear.value?.hear(bytes) });
    if (!bound.ok) throw bound.error;
    open.add(() => bound.value.close());
    ear.value = new Ear(bound.value);
    return ear.value;
  }

  hear(bytes: Uint8Array): void {
    this.heard.push(Buffer.from(bytes).toString());
    this.#wake();
  }

  async until(count: number): Promise<readonly string[]> {
    while (this.heard.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return this.heard;
  }
}

function freeUdpPort(): number {
  const bound = bindUdp("0.0.0.0", 0, {});
  if (!bound.ok) throw bound.error;
  const { port } = bound.value;
  bound.value.close();
  return port;
}

function start(over: Partial<IgdOptions> = {}, interfaces: readonly InsideInterface[] = [LOOPBACK]) {
  const ssdpPort = over.ssdpPort ?? freeUdpPort();
  const timers = new ManualTimers();
  const desk = new FakeDesk({ inside: ["127.0.0.0/8"], rules: ["allow * * *"] });
  const ending = new AbortController();
  const errors: unknown[] = [];
  const server = new IgdServer({
    desk,
    httpPort: 0,
    ssdpPort,
    seed: "a seed",
    highestVersion: 2,
    friendlyName: "gateway",
    presentationUrl: null,
    pinholesAllowed: true,
    upBitsPerSec: 1,
    downBitsPerSec: 1,
    outboundTimeoutSec: { tcp: 1, udp: 1 },
    wallMs: () => 1_800_000_000_000,
    monotonicMs: () => 0,
    random: () => 0.5,
    after: timers.after,
    signal: ending.signal,
    onRefused: () => {},
    onFailed: (error) => errors.push(error),
    onError: (error) => errors.push(error),
    ...over,
  });
  open.add(() => ending.abort());
  const failures = server.apply(interfaces);
  return { server, failures, ssdpPort, timers, desk, ending, errors };
}

function started(over: Partial<IgdOptions> = {}, interfaces?: readonly InsideInterface[]) {
  const all = start(over, interfaces);
  expect(all.failures).toEqual([]);
  return all;
}

/** A raw HTTP client. */
async function connect(port: number, hostname = "127.0.0.1") {
  let text = "";
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  let arrived = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname,
    port,
    socket: {
      data(_socket, bytes) {
        text += bytes.toString("latin1");
        arrived.resolve();
      },
      end: (own) => void own.end(),
      close: () => resolve(text),
      error: () => {},
    },
  });
  open.add(() => socket.terminate());
  return {
    socket,
    closed,
    async said(): Promise<string> {
      await arrived.promise;
      arrived = Promise.withResolvers<void>();
      return text;
    },
  };
}

const search = (target: string, ...headers: readonly string[]): string =>
  ["M-SEARCH * HTTP/1.1", 'MAN: "ssdp:discover"', `ST: ${target}`, ...headers, "", ""].join("\r\n");

describe("descriptions and control", () => {
  test("on every address, with one port", async () => {
    const { server } = started();
    const ports = new Set(server.http.map(({ port }) => port));
    expect([server.http.map(({ address }) => address), ports.size]).toEqual([["127.0.0.1", "::1"], 1]);
    for (const address of ["127.0.0.1", "::1"]) {
      const response = await fetch(server.location(address));
      expect([response.status, response.headers.get("content-type")]).toEqual([200, 'text/xml; charset="utf-8"']);
      expect(await response.text()).toContain("InternetGatewayDevice:2");
    }
  });

  test("a call in pieces, of a client that ends its side at once", async () => {
    const { server, desk } = started();
    const path = new URL(server.location("127.0.0.1")).pathname.replace("rootDesc.xml", "ctl/WANIPConnection");
    const service = "urn:schemas-upnp-org:service:WANIPConnection:2";
    const body =
      `<Envelope><Body><u:AddPortMapping xmlns:u="${service}"><NewExternalPort>8080</NewExternalPort>` +
      "<NewProtocol>TCP</NewProtocol><NewInternalPort>80</NewInternalPort></u:AddPortMapping></Body></Envelope>";
    const { port } = server.http[0]!;
    const client = await connect(port);
    client.socket.write(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nSOAPAction: "${service}#AddPortMapping"\r\n` +
        "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    expect(await client.said()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.socket.write(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    client.socket.shutdown();
    expect(await client.closed).toContain("AddPortMappingResponse");
    expect(desk.list("127.0.0.1")).toMatchObject([{ externalPort: 8080, internalAddress: "127.0.0.1" }]);
  });

  test("a long answer to a client that reads late", async () => {
    const { server, desk } = started();
    for (let port = 1; port <= 600; port++) {
      await desk.map({
        ask: { via: "igd", action: "AddPortMapping" },
        requester: "127.0.0.1",
        internalAddress: "127.0.0.1",
        protocol: "tcp",
        internalPort: 80,
        externalPort: port,
        lifetimeSec: null,
        description: "&".repeat(128),
        remotes: [],
        enabled: true,
      });
    }
    const url = server.location("127.0.0.1").replace("rootDesc.xml", "ctl/WANIPConnection");
    const service = "urn:schemas-upnp-org:service:WANIPConnection:2";
    const response = await fetch(url, {
      method: "POST",
      headers: { SOAPAction: `"${service}#GetListOfPortMappings"` },
      body: `<Envelope><Body><GetListOfPortMappings><NewStartPort>0</NewStartPort><NewEndPort>65535</NewEndPort><NewProtocol>TCP</NewProtocol><NewNumberOfPorts>0</NewNumberOfPorts></GetListOfPortMappings></Body></Envelope>`,
    });
    const text = await response.text();
    expect(text.match(/<p:PortMappingEntry>/g)).toHaveLength(512);
    expect(text.endsWith("</s:Envelope>\r\n")).toBe(true);
  });

  test("a refusal arrives, however much the client still sends, and then the connection ends", async () => {
    const { server } = started();
    const client = await connect(server.http[0]!.port);
    client.socket.write(`POST /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(30_000)}`);
    expect(await client.closed).toStartWith("HTTP/1.1 413 ");
  });

  test("slow requests end at their deadline, with nothing said", async () => {
    const { server, timers } = started();
    const { port } = server.http[0]!;
    const slow = await Promise.all(
      ["", "GET /", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"].map(async (text) => {
        const client = await connect(port);
        client.socket.write(text);
        return client;
      }),
    );
    // A whole exchange later all of them are here.
    await (await fetch(server.location("127.0.0.1"))).text();
    expect(timers.delaysMs.filter((delayMs) => delayMs === 10_000)).toHaveLength(3);
    timers.pass(10_000);
    expect(await Promise.all(slow.map(({ closed }) => closed))).toEqual(["", "", ""]);
  });

  test("a client has 16 connections, and leaves room for others when it closes them", async () => {
    const { server } = started();
    const { port } = server.http[0]!;
    const many = await Promise.all(Array.from({ length: 16 }, () => connect(port)));
    const refused = await connect(port);
    expect(await refused.closed).toBe("");
    many[0]?.socket.end();
    await many[0]?.closed;
    const response = await fetch(server.location("127.0.0.1"));
    expect(response.status).toBe(200);
  });

  test("who is not on the link gets nothing", async () => {
    const elsewhere = { name: "lo", addresses: ["127.0.0.1"], networks: [cidr("192.0.2.0/24")] };
    const { server } = started({}, [elsewhere]);
    const client = await connect(server.http[0]!.port);
    expect(await client.closed).toBe("");
  });

  test("with the signal everything ends", async () => {
    const { server, ending } = started();
    const client = await connect(server.http[0]!.port);
    ending.abort();
    expect(await client.closed).toBe("");
    await expect(fetch(server.location("127.0.0.1"))).rejects.toThrow();
  });
});

describe("all places taken", () => {
  class Fake implements Admitted {
    cutOff = false;
    constructor(
      readonly connections: Connections,
      readonly peer: string,
      readonly stage: Admitted["stage"],
    ) {}
    cut(): void {
      this.cutOff = true;
      this.connections.leave(this);
    }
  }
  const fill = (stages: readonly Admitted["stage"][]) => {
    const connections = new Connections(
      () => () => {},
      () => 0,
    );
    const all = Array.from({ length: 128 }, (_, index) => {
      return new Fake(connections, `10.0.0.${index}`, stages[index % stages.length]!);
    });
    for (const one of all) expect(connections.admit(one)).toBe(true);
    return { connections, all };
  };

  test("the oldest that waits for its client makes room", () => {
    const { connections, all } = fill(["answering", "reading"]);
    expect(connections.admit(new Fake(connections, "10.0.1.1", "reading"))).toBe(true);
    expect(all.map(({ cutOff }) => cutOff).indexOf(true)).toBe(1);
    expect(connections.size).toBe(128);
  });

  test("who waits for an answer keeps the place", () => {
    const { connections, all } = fill(["answering"]);
    expect(connections.admit(new Fake(connections, "10.0.1.1", "reading"))).toBe(false);
    expect(all.some(({ cutOff }) => cutOff)).toBe(false);
  });
});

test("a client has 400 requests at once, and then 200 a second", () => {
  let nowMs = 0;
  const connections = new Connections(
    () => () => {},
    () => nowMs,
  );
  const count = (peer: string): number =>
    Array.from({ length: 1000 }, () => {
      const one = { peer, stage: "reading" as const, cut: () => {} };
      const admitted = connections.admit(one);
      connections.leave(one);
      return admitted;
    }).filter(Boolean).length;
  expect([count("10.0.0.1"), count("10.0.0.2")]).toEqual([400, 400]);
  nowMs = 1000;
  expect(count("10.0.0.1")).toBe(200);
});

describe("searches and announcements", () => {
  test("a unicast search is answered at once, from the address asked", async () => {
    const { server, ssdpPort } = started();
    const client = Ear.on("127.0.0.1", 0);
    client.socket.send(search("upnp:rootdevice"), ssdpPort, "127.0.0.1");
    expect((await client.until(1))[0]).toContain(`LOCATION: ${server.location("127.0.0.1")}\r\n`);
  });

  test("a search behind a burst that came while the gateway was busy is answered", async () => {
    const { ssdpPort } = started();
    const client = Ear.on("127.0.0.1", 0);
    // The usual 208 KiB hold 277 of them; twice as much is the least that any user may have.
    for (let n = 0; n < 400; n++) client.socket.send("HTTP/1.1 200 OK\r\n\r\n", ssdpPort, "127.0.0.1");
    client.socket.send(search("upnp:rootdevice"), ssdpPort, "127.0.0.1");
    expect(await client.until(1)).toHaveLength(1);
  });

  test("a multicast search is answered after its delay, beside another program on the port", async () => {
    const ssdpPort = freeUdpPort();
    const other = Ear.on(SSDP_GROUP_V4, ssdpPort);
    other.socket.addMembership(SSDP_GROUP_V4, "127.0.0.1");
    const { timers } = started({ ssdpPort });
    const client = Ear.on("127.0.0.1", 0);
    client.socket.setMulticastInterface("127.0.0.1");
    client.socket.send(search("ssdp:all", "MX: 3"), ssdpPort, SSDP_GROUP_V4);
    await other.until(1);
    // The unicast search behind it is answered first: the multicast one waits.
    client.socket.send(search("upnp:rootdevice"), ssdpPort, "127.0.0.1");
    await client.until(1);
    expect(timers.delaysMs).toContain(1200);
    timers.pass(1200);
    expect(await client.until(12)).toHaveLength(12);
  });

  test("alive at the start, soon again, then before half of its time; byebye at the end", async () => {
    const ssdpPort = freeUdpPort();
    const group = Ear.on(SSDP_GROUP_V4, ssdpPort);
    group.socket.addMembership(SSDP_GROUP_V4, "127.0.0.1");
    const { timers, ending, errors } = started({ ssdpPort });
    expect(group.heard).toEqual([]);
    expect(timers.delaysMs).toEqual([50]);
    timers.pass(50);
    expect(await group.until(11)).toHaveLength(11);
    expect(timers.delaysMs).toEqual([300]);
    timers.pass(300);
    expect(await group.until(22)).toHaveLength(22);
    expect(timers.delaysMs).toEqual([0.375 * 1800 * 1000]);
    timers.pass(900_000);
    await group.until(33);
    ending.abort();
    await group.until(44);
    const kinds = group.heard.map((text) => /^NTS: ssdp:(\w+)\r$/m.exec(text)?.[1]);
    expect(kinds).toEqual([...Array(33).fill("alive"), ...Array(11).fill("byebye")]);
    expect(group.heard[0]).toContain("BOOTID.UPNP.ORG: 1800000000\r\n");
    expect(errors).toEqual([]);
    expect(timers.delaysMs).toEqual([]);
  });

  test("who is not on the link gets no answer", async () => {
    const networks = [cidr("127.0.0.0/30")];
    const { ssdpPort } = started({}, [{ name: "lo", addresses: ["127.0.0.1"], networks }]);
    const near = Ear.on("127.0.0.2", 0);
    const far = Ear.on("127.9.9.9", 0);
    far.socket.send(search("ssdp:all"), ssdpPort, "127.0.0.1");
    near.socket.send(search("upnp:rootdevice"), ssdpPort, "127.0.0.1");
    await near.until(1);
    expect(far.heard).toEqual([]);
  });

  test("no more than 256 answers wait, and what comes then is answered at once", async () => {
    const ssdpPort = freeUdpPort();
    const { timers } = started({ ssdpPort });
    const group = Ear.on(SSDP_GROUP_V4, ssdpPort);
    group.socket.addMembership(SSDP_GROUP_V4, "127.0.0.1");
    let late = group;
    for (let sender = 1; sender <= 26; sender++) {
      late = Ear.on(`127.0.1.${sender}`, 0);
      const { socket } = late;
      socket.setMulticastInterface("127.0.0.1");
      for (let n = 0; n < 10; n++) socket.send(search("upnp:rootdevice", "MX: 1"), ssdpPort, SSDP_GROUP_V4);
      // The kernel has given both sockets what this one has heard; the server reads it in this turn or the next.
      await group.until(sender * 10);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    }
    expect(timers.delaysMs.filter((delayMs) => delayMs === 400)).toHaveLength(256);
    expect((await late.until(4)).every((text) => text.startsWith("HTTP/1.1 200 OK"))).toBe(true);
  });
});

describe("what is to be served changes", () => {
  const V4 = { ...LOOPBACK, addresses: ["127.0.0.1"] };
  const heard = (text: string | undefined): string => /^NTS: ssdp:(\w+)\r$/m.exec(text ?? "")?.[1] ?? "reply";

  test("the same again touches nothing", async () => {
    const { server, timers } = started();
    const client = await connect(server.http[0]!.port);
    const before = timers.delaysMs;
    expect(server.apply([LOOPBACK])).toEqual([]);
    expect(timers.delaysMs).toEqual(before);
    client.socket.write("GET / HTTP/1.0\r\n\r\n");
    expect(await client.closed).toStartWith("HTTP/1.1 404 ");
  });

  test("an interface that goes says farewell, and comes back with the same port", async () => {
    const ssdpPort = freeUdpPort();
    const group = Ear.on(SSDP_GROUP_V4, ssdpPort);
    group.socket.addMembership(SSDP_GROUP_V4, "127.0.0.1");
    const { server, timers } = started({ ssdpPort });
    const location = server.location("127.0.0.1");
    expect(server.apply([])).toEqual([]);
    expect(server.http).toEqual([]);
    expect(heard((await group.until(11))[10])).toBe("byebye");
    await expect(fetch(location)).rejects.toThrow();
    expect(server.apply([V4])).toEqual([]);
    expect(server.location("127.0.0.1")).toBe(location);
    expect((await fetch(location)).status).toBe(200);
    expect(timers.delaysMs).toContain(50);
  });

  test("one that fails keeps no other from being served, and is tried again", () => {
    const { server, failures } = start({}, [LOOPBACK, { ...LOOPBACK, name: "nolink0", addresses: ["127.0.0.2"] }]);
    expect(failures.map(({ interfaceName }) => interfaceName)).toEqual(["nolink0"]);
    expect(server.http).toHaveLength(2);
    expect(server.apply([LOOPBACK])).toEqual([]);
  });

  test("after the end nothing is opened", () => {
    const { server, ending } = started();
    ending.abort();
    expect(server.apply([LOOPBACK])).toEqual([]);
    expect(server.http).toEqual([]);
  });
});

describe("what cannot be opened is told in one sentence", () => {
  const sentence = ({ failures }: ReturnType<typeof start>): string => {
    expect(failures).toHaveLength(1);
    return failures[0]!.message;
  };

  test("the searches' port is held by who does not share it", () => {
    const port = freeUdpPort();
    const held = bindUdp("127.0.0.1", port, {});
    if (!held.ok) throw held.error;
    open.add(() => held.value.close());
    const told = sentence(start({ ssdpPort: port }));
    expect(told).toBe(
      `UDP port ${port} is in use on 127.0.0.1 by a program that does not share it; stop the one that "ss -ulpn sport = :${port}" shows.`,
    );
  });

  test("the HTTP port is taken, and nothing stays open", () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    open.add(() => listener.stop(true));
    const all = start({ httpPort: listener.port });
    expect(sentence(all)).toStartWith(`TCP port ${listener.port} is in use on 127.0.0.1`);
    expect([all.timers.delaysMs, all.server.http]).toEqual([[], []]);
  });

  test("the HTTP port of the run before is taken again, and another one when it is taken", () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = listener;
    const other = started({ lastHttpPort: port }).server.http[0]?.port;
    expect([other === port, other !== undefined && other > 0]).toEqual([false, true]);
    listener.stop(true);
    expect(started({ lastHttpPort: port }).server.http[0]?.port).toBe(port);
  });

  test("an interface that is not there", () => {
    expect(sentence(start({}, [{ ...LOOPBACK, name: "nolink0" }]))).toContain("interface nolink0");
  });

  test("an address that is not there", () => {
    expect(sentence(start({}, [{ ...LOOPBACK, addresses: ["192.0.2.1"] }]))).toBe(
      '192.0.2.1 is not an address of this machine; serve lo at one that "ip address" shows.',
    );
  });

  test("the real port of the searches", () => {
    const error = Object.assign(new Error("in use"), { code: "EADDRINUSE" });
    expect(ssdpFailure(error, { interfaceName: "lan1", address: "192.168.77.1", port: 1900 }).message).toBe(
      'UDP port 1900 is in use on 192.168.77.1 by a program that does not share it; stop the one that "ss -ulpn sport = :1900" shows.',
    );
  });
});
