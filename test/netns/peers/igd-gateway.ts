/**
 * The UPnP-IGD server on interfaces of this namespace, with a desk in memory:
 *
 *   bun igd-gateway.ts NAME=ADDRESS,ADDRESS+NETWORK+NETWORK…
 *
 * One JSON line when it listens ({event: "ready", port, locations}), or does not ({event: "failed", message}), and one
 * for each refusal. SIGTERM: it says farewell.
 */
import { type IgdServer, startIgd } from "../../../src/servers/igd/server.ts";
import { parseCidr } from "../../../src/wire/address.ts";
import { FakeDesk } from "../../fixtures/igd-desk.ts";

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

const desk = new FakeDesk();
// A public address: upnpc takes a gateway with one of the documentation networks for one that is not connected.
desk.address = "11.22.33.44";
desk.packets = 3;
desk.total = { bytesIn: 1_000, bytesOut: 2_000, packetsIn: 10, packetsOut: 20 };
const ending = new AbortController();
const server = startIgd({
  desk,
  interfaces,
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

function ready({ http, location }: IgdServer): void {
  const locations = Object.fromEntries(http.map(({ address }) => [address, location(address)]));
  say("ready", { port: http[0]?.port, locations });
  process.once("SIGTERM", () => {
    ending.abort();
    say("ended");
  });
}

if (server.ok) ready(server.value);
else say("failed", server.error);
