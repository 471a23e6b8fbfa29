import { bore } from "./bore.ts";
import { chisel } from "./chisel.ts";
import { frp } from "./frp.ts";
import { gost, gostDirect } from "./gost.ts";
import { hatchway, hatchwayDirect, hatchwayGateway } from "./hatchway.ts";
import { haproxy, nginx, socat } from "./local-proxies.ts";
import { openssh } from "./openssh.ts";
import type { Peer } from "./peer.ts";
import { ratholeNoise, ratholeTls } from "./rathole.ts";
import { haproxyOnRouter, miniupnpd, routing, socatOnRouter } from "./routers.ts";

/** By the name that `--peers` takes. A name stands for a program: each of its drivers. */
export const PEERS: Readonly<Record<string, readonly Peer[]>> = {
  hatchway: [hatchway, hatchwayDirect, hatchwayGateway],
  openssh: [openssh],
  "rathole-tls": [ratholeTls],
  "rathole-noise": [ratholeNoise],
  frp: [frp],
  chisel: [chisel],
  gost: [gost, gostDirect],
  bore: [bore],
  haproxy: [haproxy, haproxyOnRouter],
  nginx: [nginx],
  socat: [socat, socatOnRouter],
  routing: [routing],
  miniupnpd: [miniupnpd],
};
