import { describe, expect, test } from "bun:test";
import { connect } from "node:tls";
import { clientHello, record } from "./client-hello.fixture.ts";
import { ClientHelloReader, decodeClientHello, encodeAlert } from "./client-hello.ts";

const helloOf = (bytes: Uint8Array) => decodeClientHello(bytes);

describe("a hello", () => {
  test("of a real client", async () => {
    const first = Promise.withResolvers<Uint8Array>();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_socket, bytes) => first.resolve(new Uint8Array(bytes)) },
    });
    const options = { host: "127.0.0.1", port: listener.port, servername: "App.Example.org" };
    const socket = connect({ ...options, ALPNProtocols: ["h2", "http/1.1"] });
    socket.on("error", () => undefined);
    const hello = helloOf(await first.promise);
    socket.destroy();
    listener.stop(true);
    expect(hello).toEqual({ ok: true, value: { serverName: "app.example.org", protocols: ["h2", "http/1.1"] } });
  });

  test("that names nobody", () => {
    expect(helloOf(clientHello(null, []))).toEqual({ ok: true, value: { serverName: null, protocols: [] } });
  });

  test("in records of one byte each, and what comes behind it", () => {
    const whole = clientHello("app.example.org", ["h2"]);
    const message = whole.subarray(5);
    const cut = [...message].map((byte) => record(Uint8Array.of(byte)));
    const reader = new ClientHelloReader();
    let hello: ReturnType<typeof helloOf> = null;
    for (const part of cut) {
      expect(hello).toBeNull();
      hello = reader.feed(part);
    }
    expect(hello).toEqual({ ok: true, value: { serverName: "app.example.org", protocols: ["h2"] } });
    expect(reader.bytes.length).toBe(cut.length * 6);
    expect(helloOf(Buffer.concat([whole, Uint8Array.of(23, 3, 3)]))?.ok).toBe(true);
  });

  test("cut anywhere needs more", () => {
    const whole = clientHello("app.example.org", ["h2"]);
    for (let length = 0; length < whole.length; length++) expect(helloOf(whole.subarray(0, length))).toBeNull();
  });
});

const name = (text: string) => clientHello(text, []);
const wrong: [string, Uint8Array, string][] = [
  ["plain HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\n"), "not-tls"],
  ["SSL 2", Uint8Array.of(0x80, 0x2e, 1), "not-tls"],
  ["another handshake message", record(Uint8Array.of(2, 0, 0, 0)), "not-tls"],
  ["an empty record", Uint8Array.of(22, 3, 1, 0, 0), "malformed"],
  ["a message without end", record(Uint8Array.of(1, 0xff, 0xff, 0xff)), "too-long"],
  ["an address", name("192.0.2.1"), "bad-name"],
  ["a name with a null byte", name("app.example.org\0.evil"), "bad-name"],
  ["an empty name", name(""), "bad-name"],
  ["two names lists", clientHello("a.example.org", [], "b.example.org"), "malformed"],
];
for (const [what, bytes, kind] of wrong) {
  test(`${what} is ${kind}`, () => {
    expect(helloOf(bytes)).toMatchObject({ ok: false, error: { kind } });
  });
}

test("an alert", () => {
  expect([...encodeAlert("unrecognizedName")]).toEqual([21, 3, 3, 0, 2, 2, 112]);
});
