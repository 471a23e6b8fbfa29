import { expect, test } from "bun:test";
import { NONCE_BYTES, udpProbe } from "../../core/check/probes.ts";
import { probeTcp, probeUdp } from "../../dataplanes/direct/probe.ts";
import { openStandIn } from "./stand-in.ts";

const HERE = "127.0.0.1";
const signal = new AbortController().signal;
const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
const echo = udpProbe("echo");

/** A port that nobody has just now. */
async function freePort(protocol: "tcp" | "udp"): Promise<number> {
  if (protocol === "tcp") {
    const listener = Bun.listen({ hostname: HERE, port: 0, socket: { data: () => undefined } });
    listener.stop(true);
    return listener.port;
  }
  const socket = await Bun.udpSocket({ hostname: HERE, socket: {} });
  const { port } = socket;
  socket.close();
  return port;
}

for (const bind of [HERE, "*"]) {
  test(`takes a connection at ${bind}, and ends it`, async () => {
    const port = await freePort("tcp");
    const standIn = openStandIn({ protocol: "tcp", bind, port, nonce });
    expect(standIn?.reached).toBe(false);
    expect(await probeTcp({ address: HERE, port, deadlineMs: 15_000, holdMs: 15_000, signal })).toMatchObject({
      saw: "ended",
    });
    expect(standIn?.reached).toBe(true);
    standIn?.close();
    expect(await probeTcp({ address: HERE, port, deadlineMs: 15_000, holdMs: 0, signal })).toMatchObject({
      saw: "closed",
    });
  });

  test(`gives the check's own datagram back at ${bind}, and answers nothing else`, async () => {
    const port = await freePort("udp");
    const standIn = openStandIn({ protocol: "udp", bind, port, nonce });
    const ask = (payload: Uint8Array) =>
      probeUdp({
        address: HERE,
        port,
        payload,
        tries: 1,
        signal,
        fits: (answer) => echo?.fits(answer, nonce) === true,
      });
    for (const stranger of [new Uint8Array(1), echo?.payload(new Uint8Array(NONCE_BYTES)) ?? new Uint8Array(0)]) {
      expect((await ask(stranger)).saw).toBe("silent");
    }
    expect(standIn?.reached).toBe(false);
    expect(await ask(echo?.payload(nonce) ?? new Uint8Array(0))).toMatchObject({ saw: "open", fits: true });
    expect(standIn?.reached).toBe(true);
    standIn?.close();
  });
}

test("a port that somebody has is not taken", async () => {
  using listener = Bun.listen({ hostname: HERE, port: 0, socket: { data: () => undefined } });
  expect(openStandIn({ protocol: "tcp", bind: HERE, port: listener.port, nonce })).toBeNull();
  const socket = await Bun.udpSocket({ hostname: HERE, socket: {} });
  expect(openStandIn({ protocol: "udp", bind: HERE, port: socket.port, nonce })).toBeNull();
  socket.close();
});
