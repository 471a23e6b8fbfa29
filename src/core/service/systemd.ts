import { err, ok, type Result } from "../../wire/result.ts";
import { type ServiceRole, type ServiceSpec, serviceArgv, startsAsRoot, unwritable } from "./model.ts";

const STATE_ROOT = "/var/lib/";
/** wireguard-go's, where it looks for them itself. Root's own: whoever may talk to one may read the VPN's key. */
const WIREGUARD_SOCKETS = "/run/wireguard";
/** What ProtectHome= hides. */
const HOMES = ["/home", "/root", "/run/user"];
/** useradd(8). */
const USER_NAME = /^[a-z_][a-z0-9_-]{0,31}$/;

/**
 * A unit for systemd ≥ 247. Every line that keeps something from the program has a reason to be there or is plain;
 * docs/service.md says what `systemd-analyze security` makes of it.
 */
export function systemdUnit(spec: ServiceSpec): Result<string, string> {
  const bad = unwritable(spec);
  if (bad !== null) return err(bad);
  if (spec.user !== null && !USER_NAME.test(spec.user)) return err(`"${spec.user}" is no name of a user.`);
  const sections = spec.scope === "user" ? userSections(spec) : systemSections(spec);
  return ok(`${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`);
}

function systemSections(spec: ServiceSpec): string[][] {
  const asRoot = startsAsRoot(spec);
  const rights = asRoot ? gatewayRights(spec) : ordinaryRights(spec);
  return [
    [
      "[Unit]",
      `Description=${descriptionOf(spec)}`,
      "Wants=network-online.target",
      `After=network-online.target${asRoot ? " nftables.service" : ""}`,
    ],
    ["[Service]", ...runLines(spec)],
    stateLines(spec),
    rights,
    ["[Install]", "WantedBy=multi-user.target"],
  ];
}

/** Without what only a service of the system may ask of systemd: it has the rights of its user, and gets no more. */
function userSections(spec: ServiceSpec): string[][] {
  return [
    ["[Unit]", `Description=${descriptionOf(spec)}`],
    ["[Service]", ...runLines(spec)],
    ["NoNewPrivileges=yes", ...CONFINED, "SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM"],
    ["[Install]", "WantedBy=default.target"],
  ];
}

const DESCRIPTIONS: Readonly<Record<ServiceRole, string>> = {
  relay: "Hatchway relay",
  agent: "Hatchway agent",
  gateway: "Hatchway gateway",
};

function descriptionOf({ role, withGateway }: ServiceSpec): string {
  return withGateway ? "Hatchway relay and gateway" : DESCRIPTIONS[role];
}

/** A relay by itself is upgraded in place: whatever reads the config anew may as well be the program of today. */
function reloadLines(spec: ServiceSpec): string[] {
  if (startsAsRoot(spec)) {
    return [
      '# "+": root without CAP_KILL may not signal another user\'s process.',
      "ExecReload=+/bin/kill -HUP $MAINPID",
    ];
  }
  if (spec.role !== "relay") return ["ExecReload=/bin/kill -HUP $MAINPID"];
  const [program = "", ...args] = [...spec.program, "relay", "upgrade", "--data", spec.dataDir];
  return [
    "# The program that is on the disk then, in the place of the running one; visitors notice nothing. It reads the config, too.",
    `ExecReload=${[quoted(program), ...args.map(quotedArgument)].join(" ")}`,
  ];
}

function runLines(spec: ServiceSpec): string[] {
  const asRoot = startsAsRoot(spec);
  const [program = "", ...args] = serviceArgv(spec);
  return [
    // Started is what READY=1 says, so a start that fails is one that `systemctl start` reports.
    "Type=notify",
    "NotifyAccess=main",
    ...(asRoot
      ? [
          '# "!": root starts it. It becomes the user by itself before it opens a socket, and keeps root for one helper that',
          "# has CAP_NET_ADMIN and CAP_DAC_READ_SEARCH alone. (A new user in [gateway] wants `service install` again.)",
        ]
      : []),
    ...(spec.user === null ? [] : [`User=${spec.user}`]),
    ...(spec.path === null ? [] : [`Environment=${quoted(`PATH=${spec.path}`)}`]),
    ...(asRoot
      ? [
          "# That is the data directory, where Bun would keep compiled code: root runs none that the user can write.",
          "UnsetEnvironment=HOME",
        ]
      : []),
    ...(asRoot ? [`ExecStartPre=+/bin/mkdir -p -m 0700 ${WIREGUARD_SOCKETS}`] : []),
    `ExecStart=${asRoot ? "!" : ""}${[quoted(program), ...args.map(quotedArgument)].join(" ")}`,
    ...reloadLines(spec),
    ...(asRoot
      ? [
          "# Not control-group: where the kernel has no WireGuard, wireguard-go goes on and the next start takes it over.",
          "# The helper ends by itself, with its gateway.",
          "KillMode=process",
        ]
      : []),
    "Restart=on-failure",
    ...(asRoot
      ? ["# Exit code 2 too: an interface that is not there yet (PPPoE) may come.", "RestartSec=10"]
      : [
          // Slower than systemd's five starts in ten seconds, after which it would try no more.
          "RestartSec=5",
          "# 2: wrong usage or config. 3: refused. Neither gets better by itself.",
          "RestartPreventExitStatus=2 3",
        ]),
    "# Visitors have 10 seconds to finish.",
    "TimeoutStopSec=20",
    "# A visitor takes one descriptor.",
    "LimitNOFILE=1048576",
  ];
}

function stateLines(spec: ServiceSpec): string[] {
  const { dataDir } = spec;
  const name = dataDir.startsWith(STATE_ROOT) ? dataDir.slice(STATE_ROOT.length).replace(/\/+$/, "") : "";
  const isState = name !== "" && name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  return [
    ...(isState
      ? [`StateDirectory=${quoted(name)}`, "StateDirectoryMode=0700"]
      : [`ReadWritePaths=${quoted(dataDir)}`]),
  ];
}

const FAMILIES = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK";
/** Of every unit. */
const CONFINED = [
  FAMILIES,
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "SystemCallArchitectures=native",
];
/** Of every unit of the system. */
const APART = [
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "PrivateMounts=yes",
  "ProtectClock=yes",
  "ProtectControlGroups=yes",
  "ProtectHostname=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "ProtectProc=invisible",
  "RemoveIPC=yes",
];
const JIT =
  "# Not MemoryDenyWriteExecute: Bun compiles as it runs. Without, a loop took 37 times as long, and it calls no C (bun:ffi).";

/** Of the program that is an ordinary user from its first instruction. */
function ordinaryRights(spec: ServiceSpec): string[] {
  return [
    ...(spec.role === "relay"
      ? [
          "# Ports below 1024, and nothing else that an ordinary user may not do.",
          "AmbientCapabilities=CAP_NET_BIND_SERVICE",
          "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        ]
      : [
          "# Its own listeners are above 1023. When they are not, give both CAP_NET_BIND_SERVICE, and PrivateUsers=no.",
          "AmbientCapabilities=",
          "CapabilityBoundingSet=",
          "PrivateUsers=yes",
        ]),
    "NoNewPrivileges=yes",
    "# Add what hooks and a [gluetun] status-file write to by ReadWritePaths= in a drop-in (systemctl edit).",
    "ProtectSystem=strict",
    protectHome(spec),
    ...APART,
    ...CONFINED,
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
    JIT,
  ];
}

function gatewayRights(spec: ServiceSpec): string[] {
  const lowPorts = spec.role === "relay";
  return [
    ...(lowPorts ? ["# NET_BIND_SERVICE: for the relay's ports below 1024."] : []),
    "# SETUID, SETGID: to become the user. DAC_OVERRIDE: to make privileged/ in the user's directory. SETPCAP: to take all",
    "# other capabilities from the helper. After that nobody has them.",
    `CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID CAP_SETPCAP${lowPorts ? " CAP_NET_BIND_SERVICE" : ""}`,
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "# The kernel's forwarding, and no other of its settings; wireguard-go's sockets, which it outlives this with; iptables'",
    "# lock, to read what other firewalls there are. Add what hooks and a [gluetun] status-file write to.",
    `ReadWritePaths=/proc/sys/net -${WIREGUARD_SOCKETS} -/run/xtables.lock`,
    protectHome(spec),
    "# For wireguard-go; of all other devices it sees those that everybody needs.",
    "BindPaths=-/dev/net/tun",
    "DeviceAllow=/dev/net/tun rw",
    ...APART,
    ...CONFINED,
    "# Its own privileged ones are those of the capabilities above.",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@resources",
    "SystemCallErrorNumber=EPERM",
    JIT,
  ];
}

/** What a program in somebody's home is made of must be seen, and nothing there be changed. */
function protectHome({ program, dataDir, configFile, path }: ServiceSpec): string {
  const places = [...program, dataDir, configFile ?? "", ...(path ?? "").split(":")];
  const isAtHome = places.some((place) => HOMES.some((home) => place === home || place.startsWith(`${home}/`)));
  return isAtHome ? "ProtectHome=read-only" : "ProtectHome=yes";
}

const PLAIN = /^[A-Za-z0-9_/.:@=+,-]+$/;

/** systemd.syntax(7): specifiers and quotes. */
function quoted(text: string): string {
  if (PLAIN.test(text)) return text;
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")}"`;
}

/** Behind the program itself, where systemd puts variables in, too (systemd.service(5), COMMAND LINES). */
function quotedArgument(text: string): string {
  return quoted(text).replaceAll("$", "$$$$");
}
