import { expect, test } from "bun:test";
import { ownAddresses } from "../../os/interfaces.ts";
import { ownService } from "./own-service.ts";

const [own] = ownAddresses().filter(({ internal, family }) => !internal && family === 4);
const OWN = own?.address ?? "127.0.0.1";

test.each([
  ["nothing said: the port here", null, "192.0.2.7", { host: "192.0.2.7", port: 80, isHere: true }],
  ["no way out known", null, null, { host: OWN, port: 80, isHere: true }],
  [
    "another port here",
    { host: "127.0.0.1", port: 8_080 },
    "192.0.2.7",
    { host: "192.0.2.7", port: 8_080, isHere: true },
  ],
  ["localhost", { host: "localhost", port: 8_080 }, "192.0.2.7", { host: "192.0.2.7", port: 8_080, isHere: true }],
  ["an address of this machine", { host: OWN, port: 81 }, null, { host: OWN, port: 81, isHere: true }],
  ["another machine", { host: "198.51.100.7", port: 81 }, OWN, { host: "198.51.100.7", port: 81, isHere: false }],
  ["a name", { host: "nas.lan", port: 81 }, OWN, { host: "nas.lan", port: 81, isHere: OWN === "nas.lan" }],
])("%s", (_name, given, localAddress, service) => {
  expect(ownService(given, 80, localAddress)).toEqual(service);
});
