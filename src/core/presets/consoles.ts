import { as, both, type PresetRow, row, tcp, udp } from "./preset.ts";

/** Games consoles. Give the console a fixed address in the network first: a forward leads to an address. */
export const CONSOLES: readonly PresetRow[] = [
  row({
    id: "xbox",
    name: "Xbox",
    variant: "Series X|S and One, and games on Windows",
    aliases: ["xbox live", "xbox one", "xbox series", "xbl", "microsoft console"],
    ports: [udp("88"), both("3074"), as("optional", udp("500", "3544", "4500"))],
    samePortRequired: true,
    note: "One console at a time: for a second one let consoles open their own ports by UPnP. Add 500, 3544 and 4500 only if the NAT type stays strict.",
    source: "https://portforward.com/xbox/",
  }),
  row({
    id: "playstation",
    name: "PlayStation",
    variant: "5 and 4",
    aliases: ["ps4", "ps5", "psn", "playstation network", "sony"],
    ports: [tcp("3478-3480"), udp("3074", "3478-3479")],
    samePortRequired: true,
    note: "NAT type 2 is what a console behind a router should have; type 3 is what a forward mends. One console at a time.",
    source: "https://routervia.com/port-forwarding-guide",
  }),
  row({
    id: "nintendo-switch",
    name: "Nintendo Switch",
    aliases: ["switch", "switch 2", "nintendo"],
    ports: [as("optional", udp("1-65535"))],
    samePortRequired: true,
    inboundNeeded: false,
    risk: "danger",
    note: "Nintendo's advice is to send it every UDP port, which breaks UDP for everything else of that address and lets strangers talk to the console: NAT type A or B, which UPnP brings, is enough; else give it a public address of its own.",
    source: "https://wiki.tilde.fun/admin/network/nat",
  }),
];
