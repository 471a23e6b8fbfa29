import type { Command } from "commander";
import type { Run } from "./context.ts";

type Define = (program: Command, run: Run) => void;
type Load = () => Promise<Define>;

interface CommandGroup {
  readonly title: string;
  readonly commands: readonly Load[];
}

/** Every command by its name, in the order of the help. Each is loaded when it is defined. */
const GROUPS: readonly { readonly title: string; readonly commands: Readonly<Record<string, Load>> }[] = [
  {
    title: "On the public machine:",
    commands: {
      serve: async () => (await import("./serve.ts")).defineServe,
      relay: async () => (await import("./relay.ts")).defineRelay,
      "join-code": async () => (await import("./join-code.ts")).defineJoinCode,
      devices: async () => (await import("./devices.ts")).defineDevices,
      "ssh-key": async () => (await import("./ssh-key.ts")).defineSshKey,
      user: async () => (await import("./user.ts")).defineUser,
      token: async () => (await import("./token.ts")).defineToken,
      backup: async () => (await import("./backup.ts")).defineBackup,
      restore: async () => (await import("./backup.ts")).defineRestore,
    },
  },
  {
    title: "On a Linux router or VPN server:",
    commands: {
      gateway: async () => (await import("./gateway.ts")).defineGateway,
      vpn: async () => (await import("./vpn.ts")).defineVpn,
      trigger: async () => (await import("./trigger.ts")).defineTrigger,
      events: async () => (await import("./events.ts")).defineEvents,
    },
  },
  {
    title: "On a machine behind NAT:",
    commands: {
      agent: async () => (await import("./agent.ts")).defineAgent,
      expose: async () => (await import("./expose.ts")).defineExpose,
      connect: async () => (await import("./connect.ts")).defineConnect,
      forward: async () => (await import("./forward.ts")).defineForward,
      map: async () => (await import("./map.ts")).defineMap,
      router: async () => (await import("./router.ts")).defineRouter,
    },
  },
  {
    title: "On any machine:",
    commands: {
      direct: async () => (await import("./direct.ts")).defineDirect,
      audit: async () => (await import("./audit.ts")).defineAudit,
      status: async () => (await import("./status.ts")).defineStatus,
      ping: async () => (await import("./ping.ts")).definePing,
      check: async () => (await import("./check.ts")).defineCheck,
      doctor: async () => (await import("./doctor.ts")).defineDoctor,
      presets: async () => (await import("./presets.ts")).definePresets,
      service: async () => (await import("./service.ts")).defineService,
      config: async () => (await import("./config.ts")).defineConfig,
      demo: async () => (await import("./demo.ts")).defineDemo,
      completion: async () => (await import("./completion.ts")).defineCompletion,
      man: async () => (await import("./man.ts")).defineMan,
      upgrade: async () => (await import("./upgrade.ts")).defineUpgrade,
      version: async () => (await import("./version.ts")).defineVersion,
    },
  },
];
/** Those that ask a relay, and so may ask one elsewhere: --remote. */
export const REMOTE_COMMANDS: ReadonlySet<string> = new Set([
  "status",
  "forward",
  "devices",
  "join-code",
  "ssh-key",
  "user",
  "token",
  "audit",
  "vpn",
  "trigger",
]);
/** Not for people: the program starts these itself. */
const INNER: Readonly<Record<string, Load>> = {
  "complete-names": async () => (await import("./completion.ts")).defineCompleteNames,
  "privileged-helper": async () => (await import("./privileged-helper.ts")).definePrivilegedHelper,
};
/** Those that are about all the others. */
const ABOUT_ALL: ReadonlySet<string> = new Set(["completion", "man"]);
const VERSION_FLAGS = ["--version", "-V"];

/**
 * What `args` can need: the command that stands first, alone; no command to print the version; and all of them for
 * anything else (help, the man page, a suggestion for a mistyped name, an option before the command's name). Loading all takes twice
 * the time of loading one.
 */
export function commandGroupsFor([first = ""]: readonly string[]): readonly CommandGroup[] {
  if (VERSION_FLAGS.includes(first)) return [];
  const inner = Object.hasOwn(INNER, first) ? INNER[first] : undefined;
  if (inner !== undefined) return [{ title: "", commands: [inner] }];
  const named = ABOUT_ALL.has(first) ? undefined : GROUPS.find(({ commands }) => Object.hasOwn(commands, first));
  const load = named?.commands[first];
  if (named !== undefined && load !== undefined) return [{ title: named.title, commands: [load] }];
  return GROUPS.map(({ title, commands }) => ({ title, commands: Object.values(commands) }));
}
