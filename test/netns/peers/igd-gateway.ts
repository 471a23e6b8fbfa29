/**
 * The UPnP-IGD server on interfaces of this namespace, with a desk in memory:
 *
 *   bun igd-gateway.ts NAME=ADDRESS,ADDRESS+NETWORK+NETWORK…
 *
 * One JSON line when it listens ({event: "ready", port, locations}), or does not ({event: "failed", failures}), and one
 * for each refusal. SIGHUP: the same is applied again ({event: "applied", failures}). SIGTERM: it says farewell.
 */
import { IgdServer } from "../../../src/servers/igd/server.ts";
import { parseCidr } from "../../../src/wire/address.ts";
import { FakeDesk } from "../../fixtures/fake-desk.ts";

const say = (event: string, more: object = {}): void => console.log(JSON.stringify({ event, ...more }));

const interfaces = process.argv.slice(2).map((argument) => {
  const [name = "", rest = ""] = argument.split("=");
  const [addresses = "", ...networks] = rest.split("+");
  const parsed = networks.map((text) => {
    const network = parseCidr(text);
    if (!network.ok) throw new Error(network.error.message);
    return network.value;
  });
  return { name, addresses: addresses.split(","), networks: parsed };
});

const desk = new FakeDesk({ rules: ["allow * * *"] });
// A public address: upnpc takes a gateway with one of the documentation networks for one that is not connected.
desk.external = "11.22.33.44";
desk.packets = 3;
desk.total = { bytesIn: 1_000, bytesOut: 2_000, packetsIn: 10, packetsOut: 20 };
const ending = new AbortController();
const server = new IgdServer({
  desk,
  httpPort: 0,
  seed: "a gateway of the lab",
  highestVersion: 2,
  friendlyName: "Lab <gateway>",
  presentationUrl: null,
  pinholesAllowed: true,
  upBitsPerSec: 1_000_000,
  downBitsPerSec: 2_000_000,
  outboundTimeoutSec: { tcp: 7_200, udp: 120 },
  wallMs: Date.now,
  monotonicMs: () => performance.now(),
  random: Math.random,
  signal: ending.signal,
  onRefused: (message) => say("refused", { message }),
  onFailed: (error) => say("broken", { error: String(error) }),
  onError: (error) => say("error", { error: String(error) }),
});

const failures = server.apply(interfaces);
if (failures.length > 0) {
  say("failed", { failures });
} else {
  const locations = Object.fromEntries(server.http.map(({ address }) => [address, server.location(address)]));
  say("ready", { port: server.http[0]?.port, locations });
  process.on("SIGHUP", () => say("applied", { failures: server.apply(interfaces) }));
  process.once("SIGTERM", () => {
    ending.abort();
    say("ended");
  });
}
