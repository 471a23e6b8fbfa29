import { strict as assert } from "node:assert";
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { connect as dial, type Socket } from "node:net";
import type { Endpoint } from "../../src/wire/endpoint.ts";
import {
  decodeSocks5Reply,
  decodeSocksDatagram,
  encodeSocks5Greeting,
  encodeSocks5Request,
  encodeSocksDatagram,
} from "../../src/wire/socks.ts";
import { ask, becomes, type Case, gone, HERE, kindOf, service, udpService } from "./case-kit.ts";

/** Where a SOCKS datagram says which part of a larger one it is (RFC 1928 section 7). */
const FRAGMENT = 2;

/** Asks for an association, which lives as long as `control`; where its datagrams go. */
async function associate(control: Socket): Promise<Endpoint> {
  const request = encodeSocks5Request({
    version: 5,
    command: "udp-associate",
    destination: { host: "0.0.0.0", port: 0 },
  });
  assert.ok(request.ok);
  control.write(encodeSocks5Greeting([0]));
  const [method] = (await once(control, "data")) as [Buffer];
  assert.deepEqual([...method], [5, 0]);
  control.write(request.value);
  const [bytes] = (await once(control, "data")) as [Buffer];
  const reply = decodeSocks5Reply(bytes);
  assert.ok(reply.ok && reply.value !== null);
  assert.equal(reply.value.value.code, 0);
  return { address: reply.value.value.bound.host, port: reply.value.value.bound.port };
}

/** UDP ports of this machine that lead to the relay or another device. */
export const LOCAL_UDP_CASES = {
  async "UDP goes by a port of this machine, too"(lib, lab) {
    const dns = await udpService("dns");
    await lab.allow(dns.port);
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("udp-listener") });
    await using relay = await lib.openRelay({ key });
    for (const via of ["relay", "agent:server"] as const) {
      for (const port of ["0/udp", "*:0/udp"]) {
        await using listening = await relay.listen({ port, to: `${HERE}:${dns.port}`, via });
        assert.ok(listening.port > 0);
        const visitors = [1, 2].map(() => createSocket("udp4"));
        // Each hears its own, from the port that it wrote to.
        const answers = visitors.map(async (visitor, at) => {
          visitor.send(`${at}`, listening.port, HERE);
          const [bytes, from] = (await once(visitor, "message")) as [Buffer, { port: number }];
          return `${bytes} ${from.port === listening.port}`;
        });
        assert.deepEqual(await Promise.all(answers), ["dns:0 true", "dns:1 true"]);
        assert.equal(listening.visitors, 2);
        // The largest that the tunnel carries in one piece.
        visitors[0]?.send(Buffer.alloc(60_000), listening.port, HERE);
        const [large] = (await once(visitors[0]!, "message")) as [Buffer];
        assert.equal(large.length, 60_004);
        const taken = port.replace("0/", `${listening.port}/`);
        assert.equal(await kindOf(relay.listen({ port: taken, to: `${HERE}:1`, via })), "conflict");
        const number = listening.port;
        await listening.close();
        // It is free again at once.
        const after = createSocket("udp4");
        after.bind(number, HERE);
        await once(after, "listening");
        for (const socket of [...visitors, after]) socket.close();
      }
    }
    dns.close();
  },

  async "TCP and UDP at one port of this machine"(lib, lab) {
    const db = await service("db");
    const dns = await udpService("dns", db.port);
    await lab.allow(db.port);
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("both-listener") });
    await using relay = await lib.openRelay({ key });
    const to = `${HERE}:${db.port}`;
    await using both = await relay.listen({ port: 0, protocol: "tcp+udp", to });
    assert.equal(both.port, both.lastPort, "one number for both");
    assert.equal(await ask(both.port), "db:hello");
    const visitor = createSocket("udp4");
    visitor.send("hello", both.port, HERE);
    const [answer] = (await once(visitor, "message")) as [Buffer];
    assert.equal(String(answer), "dns:hello");
    visitor.close();
    db.close();
    dns.close();
  },

  async "a SOCKS client's UDP, from its own port alone"(lib, lab) {
    const dns = await udpService("dns");
    await lab.allow(dns.port);
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("associate") });
    await using relay = await lib.openRelay({ key });
    for (const via of ["relay", "agent:server"] as const) {
      await using proxy = await relay.socks({ port: 0, via });
      const control = dial(proxy.port, HERE);
      const bound = await associate(control);
      assert.equal(bound.address, HERE);
      const [mine, strangers] = [createSocket("udp4"), createSocket("udp4")];
      const say = (socket: DatagramSocket, host: string, said: string, fragment = 0) => {
        const datagram = encodeSocksDatagram({ destination: { host, port: dns.port }, payload: Buffer.from(said) });
        assert.ok(datagram.ok);
        datagram.value[FRAGMENT] = fragment;
        socket.send(datagram.value, bound.port, bound.address);
      };
      const heard = async () => {
        const [bytes] = (await once(mine, "message")) as [Buffer];
        const datagram = decodeSocksDatagram(bytes);
        assert.ok(datagram.ok);
        return `${datagram.value.destination.host} ${Buffer.from(datagram.value.payload)}`;
      };
      say(mine, HERE, "a");
      assert.equal(await heard(), `${HERE} dns:a`);
      // Neither a fragment nor another's datagram is passed on; what comes next is.
      say(mine, HERE, "fragment", 1);
      say(strangers, HERE, "stranger's");
      say(mine, HERE, "b");
      assert.equal(await heard(), `${HERE} dns:b`);
      assert.equal(proxy.visitors, 1);
      control.end();
      await gone(control);
      await becomes(() => proxy.visitors, 0);
      mine.close();
      strangers.close();
    }
    dns.close();
  },
} satisfies Record<string, Case>;
