import { type PresetRow, row, tcp, udp } from "./preset.ts";

const FANTASY_GROUNDS = "https://zeferby.gitbook.io/transparent-openvpn-for-fantasy-grounds";

/** Tables where people play with dice. */
export const TABLETOP: readonly PresetRow[] = [
  row({
    id: "fantasy-grounds-classic",
    name: "Fantasy Grounds",
    variant: "Classic",
    aliases: ["fg", "fgc", "fantasy grounds classic"],
    ports: [tcp("1802")],
    source: "https://www.fantasygrounds.com/forums/faq.php?faq=networking",
  }),
  row({
    id: "fantasy-grounds-unity-lan",
    name: "Fantasy Grounds",
    variant: "Unity, hosted as LAN",
    aliases: ["fg", "fgu", "fantasy grounds unity"],
    ports: [udp("1802")],
    note: "Host the game as LAN. A forward of TCP does nothing for Unity.",
    source: `${FANTASY_GROUNDS}/general/internet-connection-barriers`,
  }),
  row({
    id: "fantasy-grounds-unity-cloud",
    name: "Fantasy Grounds",
    variant: "Unity, hosted in the cloud",
    aliases: ["fg", "fgu", "fantasy grounds unity"],
    ports: [],
    inboundNeeded: false,
    note: "Hosted in the cloud, the game master's and the players' programs all go out to the maker's servers.",
    source: `${FANTASY_GROUNDS}/simultaneous-games-fgc-1-vpn-server/fgu-vs.-fgc-networking`,
  }),
  row({
    id: "foundry-vtt",
    name: "Foundry Virtual Tabletop",
    aliases: ["foundry", "fvtt"],
    ports: [tcp("30000")],
    note: "Set an administrator password first; without HTTPS in front of it players' microphones and cameras do not work.",
    source: "https://github.com/felddy/foundryvtt-docker/blob/develop/README.md",
  }),
];
