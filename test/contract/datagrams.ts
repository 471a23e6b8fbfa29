import { strict as assert } from "node:assert";
import type { PortHandlers, PortSocket } from "../../src/dataplanes/io/datagram-socket.ts";
import { bindPort, connectFlow } from "../../src/dataplanes/io/datagram-sockets.ts";
import { udpBuffers } from "../../src/dataplanes/io/udp-buffers.ts";
import { MAX_DATAGRAM_BYTES } from "../../src/dataplanes/io/udp-socket.ts";

/** What the UDP sockets of every runtime do (datagram-sockets.ts). Without bun:test, so that it runs on both. */
const HERE = "127.0.0.1";
const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** What comes, in turn. */
class Heard<Item> {
  readonly items: Item[] = [];
  #wake = Promise.withResolvers<void>();

  push(item: Item): void {
    this.items.push(item);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async until(count: number): Promise<readonly Item[]> {
    while (this.items.length < count) await this.#wake.promise;
    return this.items;
  }
}

function bound(address: string, handlers: Partial<PortHandlers> = {}, port = 0): PortSocket {
  const socket = bindPort(address, port, { data: () => undefined, error: () => undefined, ...handlers });
  if (!socket.ok) throw socket.error;
  assert.ok(socket.value.port > 0, "its port is known at once");
  return socket.value;
}

function flow(
  address: string,
  port: number,
): { send(...datagrams: Uint8Array[]): number; heard: Heard<Uint8Array>; close(): void } {
  const heard = new Heard<Uint8Array>();
  const socket = connectFlow(address, port, { data: (bytes) => heard.push(bytes.slice()), error: () => undefined });
  if (!socket.ok) throw socket.error;
  return { send: (...datagrams) => socket.value.sendMany(datagrams), heard, close: () => socket.value.close() };
}

const echo: PortHandlers["data"] = (socket, datagram, port, from) => void socket.send(datagram, port, from);

export const DATAGRAM_CASES: Record<string, () => Promise<void>> = {
  async "a port is open at once, and answers; each datagram keeps its bounds"() {
    for (const [bind, address] of [
      [HERE, HERE],
      ["::1", "::1"],
      ["::", HERE],
      ["::", "::1"],
    ] as const) {
      const service = bound(bind, { data: echo });
      udpBuffers()(service);
      const client = flow(address, service.port);
      // More than a host's MTU, as far as UDP goes by IPv4.
      const large = new Uint8Array(MAX_DATAGRAM_BYTES).fill(7);
      assert.equal(client.send(bytesOf("a"), new Uint8Array(0), large), 3);
      const lengths = (await client.heard.until(3)).map(({ length }) => length);
      assert.deepEqual(lengths, [1, 0, MAX_DATAGRAM_BYTES], `${bind} ${address}`);
      client.close();
      service.close();
    }
  },

  async "it tells who writes, and many leave in one call, each to its own"() {
    const heard = new Heard<string>();
    const service = bound(HERE, {
      data: (_socket, bytes, port, from) => heard.push(`${from} ${port} ${textOf(bytes)}`),
    });
    const clients = [1, 2].map(() => new Heard<string>());
    const sockets = clients.map((own) => bound(HERE, { data: (_socket, bytes) => own.push(textOf(bytes)) }));
    for (const [at, socket] of sockets.entries()) assert.equal(socket.send(bytesOf(`${at}`), service.port, HERE), true);
    assert.deepEqual([...(await heard.until(2))].sort(), sockets.map(({ port }, at) => `${HERE} ${port} ${at}`).sort());
    const packets = sockets.flatMap(({ port }) => [bytesOf(`to ${port}`), port, HERE]);
    assert.equal(service.sendMany(packets), 2);
    for (const [at, own] of clients.entries()) assert.deepEqual(await own.until(1), [`to ${sockets[at]?.port}`]);
    for (const socket of [service, ...sockets]) socket.close();
  },

  async "what is sent may be reused at once"() {
    const heard = new Heard<string>();
    const service = bound(HERE, { data: (_socket, bytes) => heard.push(textOf(bytes)) });
    const [client, connected] = [bound(HERE), flow(HERE, service.port)];
    const buffer = bytesOf("one");
    client.send(buffer, service.port, HERE);
    connected.send(buffer);
    buffer.set(bytesOf("two"));
    assert.deepEqual(await heard.until(2), ["one", "one"]);
    for (const socket of [service, client, connected]) socket.close();
  },

  async "a port in use, and an address of another machine, are told by their codes at once"() {
    const first = bound(HERE);
    for (const [address, port, code] of [
      [HERE, first.port, "EADDRINUSE"],
      ["192.0.2.77", 0, "EADDRNOTAVAIL"],
    ] as const) {
      const second = bindPort(address, port, { data: () => undefined, error: () => undefined });
      assert.ok(!second.ok);
      assert.equal((second.error as { code?: string }).code, code);
    }
    first.close();
    bound(HERE, {}, first.port).close();
  },

  async "what cannot leave is lost, and nothing else"() {
    const heard = new Heard<string>();
    const service = bound(HERE, { data: (_socket, bytes) => heard.push(textOf(bytes)) });
    const client = bound(HERE);
    const tooLong = new Uint8Array(MAX_DATAGRAM_BYTES + 1);
    try {
      client.send(tooLong, service.port, HERE);
    } catch (error) {
      assert.match((error as { code: string }).code, /^(EMSGSIZE|EINVAL)$/);
    }
    // Port 0 is nobody's.
    try {
      client.send(bytesOf("nobody"), 0, HERE);
    } catch (error) {
      assert.match((error as { code: string }).code, /^(EINVAL|ERR_INVALID_ARG_TYPE)$/);
    }
    client.send(bytesOf("after"), service.port, HERE);
    assert.deepEqual(await heard.until(1), ["after"]);
    service.close();
    client.close();
  },

  async "nobody at the port of a flow: it hears so"() {
    const gone = bound(HERE);
    gone.close();
    const told = Promise.withResolvers<unknown>();
    const socket = connectFlow(HERE, gone.port, { data: () => undefined, error: told.resolve });
    assert.ok(socket.ok);
    socket.value.sendMany([bytesOf("anybody?")]);
    assert.equal(((await told.promise) as { code?: string }).code, "ECONNREFUSED");
    socket.value.close();
  },
};
