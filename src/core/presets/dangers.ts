import { formatPortSet, type PortRange, type PortSet, type Protocol, parsePortSet } from "../../wire/port-set.ts";

/** note: usual to open, and worth a second look. danger: strangers look for it, and get in. */
export type DangerLevel = "note" | "danger";

export interface Danger {
  readonly level: DangerLevel;
  /** What is opened of it, as a port set with its protocol: `3389/tcp+udp`. */
  readonly ports: string;
  /** One sentence: what it is, and what to do instead. */
  readonly sentence: string;
}

interface KnownDanger {
  readonly level: DangerLevel;
  readonly ports: readonly { readonly protocol: Protocol; readonly first: number; readonly last: number }[];
  /** After "Port 3389/tcp is for ". */
  readonly text: string;
}

const range = (protocol: Protocol, first: number, last = first) => ({ protocol, first, last });
const tcp = (first: number, last = first) => range("tcp", first, last);
const udp = (first: number, last = first) => range("udp", first, last);
const RATHER = "reach it by `hatchway connect -L` or a VPN instead";

/**
 * Services that are attacked wherever they are reached, at their usual ports (IANA's, and nmap's list of services). Those
 * that are used to flood others are of CISA's alert TA14-017A.
 */
const KNOWN: readonly KnownDanger[] = [
  { level: "note", ports: [tcp(21)], text: "FTP: without TLS, passwords and files go in clear text" },
  { level: "note", ports: [tcp(22)], text: "SSH: turn passwords off and use keys, for guessing never stops" },
  { level: "danger", ports: [tcp(23), tcp(2323)], text: "Telnet: it encrypts nothing, and botnets live on it" },
  { level: "note", ports: [tcp(25)], text: "mail servers: let yours relay for signed-in users alone" },
  {
    level: "danger",
    ports: [udp(53)],
    text: "DNS: a resolver that answers everybody is used to flood others; let known addresses in alone",
  },
  { level: "danger", ports: [udp(69)], text: "TFTP: it asks for no password; keep it inside" },
  {
    level: "note",
    ports: [tcp(80), tcp(443), tcp(8080), tcp(8443)],
    text: "web pages, the settings of routers, cameras and NAS boxes among them: see that it leads to your web server",
  },
  { level: "danger", ports: [tcp(111), udp(111)], text: "the port mapper, used to flood others; keep it inside" },
  {
    level: "danger",
    ports: [tcp(135), tcp(139), tcp(445), udp(137, 138)],
    text: `Windows file sharing (SMB): worms come in by it; ${RATHER}`,
  },
  { level: "danger", ports: [udp(161)], text: "SNMP: it tells and changes how devices are set; keep it inside" },
  {
    level: "danger",
    ports: [tcp(389), udp(389)],
    text: "directories (LDAP): they tell who there is, and are used to flood others; keep it inside",
  },
  {
    level: "danger",
    ports: [tcp(554), tcp(8554), tcp(37777), tcp(34567)],
    text: `cameras and recorders: strangers look for these first; let known addresses in alone, or ${RATHER}`,
  },
  { level: "danger", ports: [tcp(631), tcp(9100)], text: "printers: they print what anybody sends; keep it inside" },
  { level: "danger", ports: [tcp(873)], text: "rsync: it asks for no password unless told to; use it over SSH" },
  {
    level: "danger",
    ports: [tcp(1433), tcp(1521), tcp(3306), tcp(5432), tcp(5984), tcp(27017, 27019)],
    text: `databases: passwords are guessed and data is held to ransom; ${RATHER}`,
  },
  {
    level: "danger",
    ports: [tcp(6379), tcp(9200), tcp(9300), tcp(11211), udp(11211), tcp(2379, 2380)],
    text: `stores that often ask for no password (Redis, Elasticsearch, memcached, etcd); ${RATHER}`,
  },
  { level: "danger", ports: [tcp(1883)], text: "MQTT without TLS; use 8883, with passwords" },
  {
    level: "danger",
    ports: [udp(1900), udp(5353)],
    text: "finding devices at home, and used to flood others; keep it inside",
  },
  { level: "danger", ports: [tcp(2049), udp(2049)], text: `NFS: it believes whoever comes; ${RATHER}` },
  {
    level: "danger",
    ports: [tcp(2375, 2376), tcp(6443), tcp(10250)],
    text: `Docker and Kubernetes: who reaches it owns the machine; ${RATHER}`,
  },
  {
    level: "danger",
    ports: [tcp(3389), udp(3389)],
    text: `Windows Remote Desktop: ransomware comes in by it; let known addresses in alone, or ${RATHER}`,
  },
  { level: "danger", ports: [tcp(5555)], text: "Android's debugger: who reaches it owns the device; keep it inside" },
  {
    level: "danger",
    ports: [tcp(5900, 5909)],
    text: `VNC: most servers encrypt nothing; let known addresses in alone, or ${RATHER}`,
  },
  { level: "danger", ports: [tcp(5985, 5986)], text: `Windows' remote shell (WinRM); ${RATHER}` },
  { level: "danger", ports: [tcp(6000, 6009)], text: "screens (X11): who reaches one sees and types; keep it inside" },
  { level: "danger", ports: [tcp(7547)], text: "providers who manage routers (TR-069); keep it inside" },
  { level: "danger", ports: [tcp(8291)], text: "MikroTik's administration (Winbox); keep it inside" },
  {
    level: "danger",
    ports: [tcp(25575), tcp(27015), tcp(28016)],
    text: "the remote consoles of games (RCON): their password goes in clear text; let your own address in alone",
  },
];

/**
 * The well-known dangerous services that a port set would open, by the port inside, which is what is reached. A port
 * without a protocol counts as `protocol` (both, unless it is known). [] for a text that is no port set.
 */
export function dangersOf(ports: string | PortSet, protocol: "tcp" | "udp" | "tcp+udp" = "tcp+udp"): readonly Danger[] {
  const set = typeof ports === "string" ? parsePortSet(ports) : ({ ok: true, value: ports } as const);
  if (!set.ok) return [];
  return KNOWN.flatMap(({ level, ports: known, text }) => {
    const opened = set.value.ranges.flatMap((run) => known.flatMap((one) => overlap(run, one, protocol) ?? []));
    if (opened.length === 0) return [];
    const named = formatPortSet({ ranges: merged(opened) });
    const subject = /[,-]/.test(named) ? `Ports ${named} are for` : `Port ${named} is for`;
    return [{ level, ports: named, sentence: `${subject} ${text}.` }];
  });
}

/** The sentences of `dangersOf`: for a form, before it is saved. */
export function warningsFor(ports: string | PortSet, protocol: "tcp" | "udp" | "tcp+udp" = "tcp+udp"): string[] {
  return dangersOf(ports, protocol).map(({ sentence }) => sentence);
}

function overlap(
  run: PortRange,
  known: KnownDanger["ports"][number],
  settled: "tcp" | "udp" | "tcp+udp",
): PortRange | null {
  if (!(run.protocol ?? settled).includes(known.protocol)) return null;
  const first = Math.max(run.internalFirst, known.first);
  const last = Math.min(run.internalFirst + (run.last - run.first), known.last);
  return first > last ? null : { protocol: known.protocol, first, last, internalFirst: first };
}

/** Each port once: two outside ports may lead to the same one inside. */
function merged(ranges: readonly PortRange[]): readonly PortRange[] {
  const parsed = parsePortSet(ranges.map(({ first, last, protocol }) => `${first}-${last}/${protocol}`).join(","));
  return parsed.ok ? parsed.value.ranges : ranges;
}
