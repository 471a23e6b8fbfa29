import { expect, test } from "bun:test";
import { bindUdp, connectUdp } from "./udp-socket.ts";

for (const address of ["127.0.0.1", "::1"]) {
  test(`a socket connected to ${address} is made at once, sends there and hears the answer`, async () => {
    const answered = Promise.withResolvers<string>();
    const service = bindUdp(address, 0, { data: (socket, bytes, port, from) => void socket.send(bytes, port, from) });
    if (!service.ok) throw service.error;
    const client = connectUdp(address, service.value.port, {
      data: (_socket, bytes) => answered.resolve(bytes.toString()),
    });
    if (!client.ok) throw client.error;
    expect(client.value.address.address).toBe(address);
    client.value.send("hello");
    expect(await answered.promise).toBe("hello");
    client.value.close();
    service.value.close();
  });
}
