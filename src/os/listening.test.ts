import { expect, test } from "bun:test";
import { listeningPorts } from "./listening.ts";

const ROWS: Record<string, string> = {
  tcp: `  sl  local_address rem_address   st
   0: 00000000:1F90 00000000:0000 0A
   1: 0100007F:0016 00000000:0000 0A
   2: 0101A8C0:0050 0A01A8C0:9999 01`,
  tcp6: `   0: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A
   2: 0000000000000000FFFF00000100007F:0017 00000000000000000000000000000000:0000 0A`,
  udp: "   0: 00000000:14E7 00000000:0000 07",
  udp6: "",
};

test("what listens for others is found; loopback and connections are not", () => {
  const found = listeningPorts((table) => ROWS[table] ?? "").map(({ protocol, port }) => `${port}/${protocol}`);
  expect(found).toEqual(["8080/tcp", "22/tcp", "5351/udp"]);
});

test.if(process.platform === "linux")("a socket of this process is found on the real system", async () => {
  using server = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data() {} } });
  expect(listeningPorts()).toContainEqual(expect.objectContaining({ protocol: "tcp", port: server.port }));
});
