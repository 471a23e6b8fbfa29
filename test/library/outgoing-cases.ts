import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect as dial } from "node:net";
import { text } from "node:stream/consumers";
import { ask, type Case, HERE, kindOf, service } from "./case-kit.ts";

/** Connections that leave at the relay or at another device, and the ports of this machine that lead there. */
export const OUTGOING_CASES = {
  async "connect reaches what the relay and another device may"(lib, lab) {
    const db = await service("db");
    await lab.allow(db.port);
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("dialler") });
    await using relay = await lib.openRelay({ key });
    for (const via of ["relay", "agent:server"] as const) {
      const socket = await relay.connect({ host: HERE, port: db.port, via });
      assert.deepEqual([socket.remoteAddress, socket.remotePort], [HERE, db.port]);
      socket.end("hello");
      assert.equal(await text(socket), "db:hello");
    }
    const refused = relay.connect({ host: "192.168.77.1", port: 1 });
    assert.equal(await kindOf(refused), "refused");
    assert.equal(await kindOf(relay.connect({ host: HERE, port: db.port, via: "agent:nobody" })), "away");
    const alone = await lib.connect({
      key: (await lib.enrol({ joinCode: await lab.joinCode("alone") })).key,
      host: HERE,
      port: db.port,
    });
    alone.end("once");
    assert.equal(await text(alone), "db:once");
    db.close();
    await once(db, "close");
    assert.equal(await kindOf(relay.connect({ host: HERE, port: db.port })), "closed");
  },

  async "listen and socks are ports of this machine"(lib, lab) {
    const db = await service("db");
    await lab.allow(db.port);
    const { key } = await lib.enrol({ joinCode: await lab.joinCode("listener") });
    await using relay = await lib.openRelay({ key });
    await using listening = await relay.listen({ port: 0, to: `${HERE}:${db.port}`, via: "agent:server" });
    assert.deepEqual([listening.host, listening.state], [HERE, "open"]);
    assert.equal(await ask(listening.port), "db:hello");
    assert.equal(await kindOf(relay.listen({ port: listening.port, to: `${HERE}:1` })), "conflict");
    await using proxy = await relay.socks({ port: 0, username: "me", password: "secret" });
    const client = dial(proxy.port, HERE);
    const credentials = Buffer.from("me:secret").toString("base64");
    client.write(`CONNECT ${HERE}:${db.port} HTTP/1.1\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`);
    const [head] = (await once(client, "data")) as [Buffer];
    assert.match(String(head), /^HTTP\/1\.1 200 /);
    client.write("proxied");
    const [answer] = (await once(client, "data")) as [Buffer];
    assert.equal(String(answer), "db:proxied");
    client.destroy();
    await listening.close();
    await assert.rejects(once(dial(listening.port, HERE), "connect"));
    db.close();
  },
} satisfies Record<string, Case>;
