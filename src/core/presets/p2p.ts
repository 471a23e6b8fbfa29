import { as, both, type PresetRow, row, tcp, udp } from "./preset.ts";

const linuxserver = (image: string): string =>
  `https://github.com/linuxserver/docker-documentation/blob/main/docs/images/docker-${image}.md`;
const SAME = "Others are told the client's own port, so set the client to the port that is open outside";

/** Programs whose users are each other's servers. */
export const PEER_TO_PEER: readonly PresetRow[] = [
  row({
    id: "bittorrent",
    name: "BitTorrent",
    variant: "Transmission",
    aliases: ["transmission", "torrent", "torrents", "p2p"],
    ports: [both("51413"), as("admin", tcp("9091"))],
    samePortRequired: true,
    note: `${SAME}, and turn its own random ports and UPnP off. Keep the web page (9091) private.`,
    source: "https://github.com/transmission/transmission/blob/main/docs/Port-Forwarding-Guide.md",
  }),
  row({
    id: "qbittorrent",
    name: "qBittorrent",
    aliases: ["torrent", "torrents", "qbit", "p2p"],
    ports: [both("6881"), as("admin", tcp("8080"))],
    samePortRequired: true,
    note: `${SAME}. Keep the web page (8080) private: it can run programs.`,
    source: linuxserver("qbittorrent"),
  }),
  row({
    id: "deluge",
    name: "Deluge",
    aliases: ["torrent", "torrents", "p2p"],
    ports: [both("6881"), as("admin", tcp("8112", "58846"))],
    samePortRequired: true,
    note: `${SAME}. Keep the web page and the daemon (8112 and 58846) private.`,
    source: linuxserver("deluge"),
  }),
  row({
    id: "syncthing",
    name: "Syncthing",
    ports: [both("22000"), as("lan-only", udp("21027")), as("admin", tcp("8384"))],
    samePortRequired: true,
    note: "One of two devices with an open port is enough. Keep the web page (8384) private.",
    source: "https://github.com/syncthing/docs/blob/main/users/firewall.rst",
  }),
  row({
    id: "soulseek",
    name: "Soulseek",
    variant: "Nicotine+",
    aliases: ["nicotine", "slsk", "slskd"],
    ports: [tcp("2234")],
    samePortRequired: true,
    note: `${SAME}.`,
    source: "https://github.com/nicotine-plus/nicotine-plus/blob/master/pynicotine/config.py",
  }),
  row({
    id: "emule",
    name: "aMule and eMule",
    aliases: ["amule", "ed2k", "kad", "edonkey"],
    ports: [tcp("4662"), udp("4665", "4672")],
    samePortRequired: true,
    note: `${SAME}; a low ID means that it is not reached.`,
    source: "https://github.com/amule-project/amule/blob/master/docs/README.md",
  }),
  row({
    id: "ipfs",
    name: "IPFS",
    variant: "Kubo",
    aliases: ["kubo"],
    ports: [both("4001"), as("admin", tcp("5001")), as("lan-only", tcp("8080"))],
    samePortRequired: true,
    note: "Keep the RPC interface (5001) private: it has full control of the node.",
    source: "https://github.com/ipfs/kubo/blob/master/docs/config.md",
  }),
  row({
    id: "monero",
    name: "Monero node",
    aliases: ["monerod", "xmr"],
    ports: [tcp("18080"), as("admin", tcp("18081"))],
    samePortRequired: true,
    note: "Keep the unrestricted RPC (18081) private.",
    source: "https://github.com/monero-project/monero/blob/master/src/cryptonote_config.h",
  }),
];
