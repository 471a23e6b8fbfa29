import type { CommandError, CommandOutput } from "../../../os/command.ts";
import type { VpnError } from "./state.ts";

/** Which Debian, Fedora, Alpine and Arch package a program is in: the same name on all. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  wg: "wireguard-tools",
  "wireguard-go": "wireguard-go",
};

const NOT_ALLOWED = /operation not permitted|permission denied/i;
const NO_TUN = /\/dev\/net\/tun.*(no such file|no such device)|create TUN device: (no such file|no such device)/i;
const PORT_TAKEN = /address already in use/i;

/** Classifies why a program did not run to its end. */
export function notRun(program: string, { kind, message }: CommandError): VpnError {
  if (kind === "permission") return { kind, message };
  if (kind !== "missing") return { kind: "refused", message };
  return { kind, message: `The program ${program} is not here: install the package ${PACKAGES[program] ?? program}.` };
}

/** Classifies what a program printed, once. */
export function programFailure(argv: readonly string[], { exitCode, stdout, stderr }: CommandOutput): VpnError {
  const [program = "", ...args] = argv;
  // wireguard-go begins with a banner that says that it is not needed.
  const said = `${stderr}\n${stdout}`.split("\n").filter((line) => line.trim() !== "" && !/^[┌│└]/.test(line));
  const last = said.at(-1)?.trim() ?? `exit code ${exitCode}`;
  if (NO_TUN.test(last)) {
    return {
      kind: "unsupported",
      message: "This kernel has no TUN devices: run modprobe tun, or give the container /dev/net/tun.",
    };
  }
  if (NOT_ALLOWED.test(last)) {
    const message = `${program} may not set up the VPN's interface: run Hatchway's gateway as root, or with CAP_NET_ADMIN.`;
    return { kind: "permission", message };
  }
  if (PORT_TAKEN.test(last)) {
    return { kind: "refused", message: "Another program has the VPN's UDP port: end it, or choose another port." };
  }
  const verb = args.find((arg) => !arg.startsWith("-")) ?? "";
  return {
    kind: "refused",
    message: `${`${program} ${verb}`.trim()} failed: ${last.replace(/^(Error|RTNETLINK answers): /, "").replace(/\.$/, "")}.`,
  };
}
