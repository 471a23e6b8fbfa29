/**
 * Who sends what only a router may: `bun forger.ts HOW…`, in a namespace with the addresses that it speaks from.
 *
 * http PORT                        takes connections to each address here, and says each: {"event":"connection"}
 * answer FROM LOCATION TIMES       answers each search of the LAN so often, from that address, as a gateway described there
 * alive FROM LOCATION TIMES        announces a gateway that has just started, described there
 * epoch FROM TIMES                 announces by PCP and by NAT-PMP that all mappings are lost
 * pcp FROM PORT INTERNAL TIMES     grants by PCP, to this port of the agent, the mapping of this internal one, with another nonce
 * nat-pmp FROM PORT INTERNAL TIMES grants by NAT-PMP
 *
 * FROM is ADDRESS or ADDRESS:PORT. The first two stay, and say {"event":"ready"}; the others end.
 */
import { createSocket, type Socket } from "node:dgram";
import { decodeSearch, encodeAlive, encodeSearchReply, SSDP_GROUP_V4, SSDP_PORT } from "../../../src/wire/igd/ssdp.ts";
import { encodeNatPmpResponse, MAPPING_CLIENT_PORT } from "../../../src/wire/natpmp.ts";
import { encodePcpSuccess } from "../../../src/wire/pcp/response.ts";
import { say } from "./bytes.ts";

const OWN = "192.168.1.30";
const AGENT = "192.168.1.20";
const ALL_HOSTS = "224.0.0.1";
const TCP = 6;
/** Of the address that a victim would show to its visitors. */
const FORGED_ADDRESS = "9.9.9.66";
const gateway = { kind: "device", domain: "schemas-upnp-org", type: "InternetGatewayDevice", version: 2 } as const;
/** With the identity of the router itself (miniupnpd.ts), which everybody on the link hears. */
const announced = {
  uuid: "00000000-0000-0000-0000-000000000001",
  server: "Forged/1.0 UPnP/1.1 Forged/1.0",
  configId: 1,
};

async function bound(from: string): Promise<Socket> {
  const [address = "", port = "0"] = from.split(":");
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.bind(Number(port), address, resolve);
  await promise;
  // As on any machine: out of the one link, whatever address it claims.
  socket.setMulticastInterface(OWN);
  return socket;
}

async function sendAll(from: string, times: number, to: string, port: number, of: (at: number) => Uint8Array) {
  const socket = await bound(from);
  for (let at = 0; at < times; at++) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.send(of(at), port, to, (error) => (error === null ? resolve() : reject(error)));
    await promise;
  }
  socket.close();
}

function pcp(body: Parameters<typeof encodePcpSuccess>[0]["body"]): Uint8Array {
  const encoded = encodePcpSuccess({ kind: "success", lifetimeSec: 3600, epochSec: 0, body });
  if (!encoded.ok) throw new Error(encoded.error.kind);
  return encoded.value;
}

const [how = "", ...args] = process.argv.slice(2);
const [from = "", second = "", third = "", fourth = ""] = args;
switch (how) {
  case "http":
    Bun.listen({
      hostname: "0.0.0.0",
      port: Number(from),
      socket: {
        open(socket) {
          say({ event: "connection", from: socket.remoteAddress });
          socket.end();
        },
        data: () => undefined,
      },
    });
    say({ event: "ready" });
    break;
  case "answer": {
    const voice = await bound(from);
    const ear = createSocket({ type: "udp4", reuseAddr: true });
    ear.on("message", (datagram, remote) => {
      const search = decodeSearch(datagram);
      if (!search.ok || remote.address !== AGENT) return;
      const reply = encodeSearchReply({ target: gateway, location: second, bootId: 1, ...announced });
      for (let left = Number(third); left > 0; left--) voice.send(reply, remote.port, remote.address);
    });
    ear.bind(SSDP_PORT, SSDP_GROUP_V4, () => {
      ear.addMembership(SSDP_GROUP_V4, OWN);
      say({ event: "ready" });
    });
    break;
  }
  case "alive": {
    const host = `${SSDP_GROUP_V4}:${SSDP_PORT}`;
    const alive = (at: number) =>
      encodeAlive(host, { target: gateway, location: second, bootId: 2_000_000_000 + at, ...announced });
    await sendAll(from, Number(third), SSDP_GROUP_V4, SSDP_PORT, alive);
    break;
  }
  case "epoch": {
    const natPmp = encodeNatPmpResponse({ kind: "external-address", address: FORGED_ADDRESS, epochSec: 0 });
    const both = [pcp({ opcode: "announce" }), natPmp];
    await sendAll(from, Number(second) * 2, ALL_HOSTS, MAPPING_CLIENT_PORT, (at) => both[at % 2]!);
    break;
  }
  case "pcp": {
    const ports = { protocol: TCP, internalPort: Number(third), externalPort: 6666 };
    const options = { thirdParty: null, preferFailure: false, filters: [] };
    const body = {
      opcode: "map",
      nonce: "66".repeat(12),
      externalAddress: FORGED_ADDRESS,
      ...ports,
      ...options,
    } as const;
    await sendAll(from, Number(fourth), AGENT, Number(second), () => pcp(body));
    break;
  }
  case "nat-pmp": {
    const map = { kind: "map", protocol: "tcp", internalPort: Number(third), externalPort: 6666 } as const;
    const reply = encodeNatPmpResponse({ ...map, lifetimeSec: 3600, epochSec: 0 });
    await sendAll(from, Number(fourth), AGENT, Number(second), () => reply);
    break;
  }
  default:
    throw new Error(`no way to forge: ${how}`);
}
