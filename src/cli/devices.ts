import type { Command } from "commander";
import type { DeviceInfo } from "../roles/control.ts";
import type { Context, Run } from "./context.ts";
import { relayOf } from "./relay-of.ts";
import { formatAge, formatMs, formatTable, printable } from "./text.ts";

export function defineDevices(program: Command, run: Run): void {
  const group = program
    .command("devices")
    .summary("list and revoke the relay's devices")
    .description("The devices that joined the relay that runs with --data, or the one that --remote names.");
  group
    .command("ls")
    .summary("list the devices")
    .description("Lists the devices of the relay. By --remote those that were revoked are left out.")
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"devices":[…]}\n\nExamples:\n  hatchway devices ls\n  hatchway devices ls --remote https://relay.example:7780 --token-file token.txt',
    )
    .action(async (_given: unknown, command: Command) => run(command, list));
  group
    .command("revoke")
    .summary("cut a device off, for good")
    .description("Ends the device's connections and forgets its key: it needs a new join code to come back.")
    .argument("<DEVICE>", "its name or id")
    .addHelpText("after", '\nWith --json: {"v":1,"device":{…}}\n\nExample:\n  hatchway devices revoke den')
    .action(async (device: string, _given: unknown, command: Command) =>
      run(command, (context) => revoke(context, device)),
    );
}

async function list(context: Context): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const devices = await (await relayOf(context)).listDevices();
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, devices })}\n`);
  else if (devices.length === 0) context.io.out("No devices: let one join with `hatchway join-code create`.\n");
  else context.io.out(`${devicesTable(devices, nowMs())}\n`);
}

function devicesTable(devices: readonly DeviceInfo[], nowMs: number): string {
  const rows = devices.map((device) => [
    device.name,
    device.id,
    device.account,
    stateOf(device, nowMs),
    device.address ?? "-",
    formatMs(device.rttMs),
    `${device.forwards}`,
    device.version ?? "-",
  ]);
  return formatTable(["NAME", "ID", "ACCOUNT", "STATE", "ADDRESS", "RTT", "FORWARDS", "VERSION"], rows);
}

function stateOf(device: DeviceInfo, nowMs: number): string {
  if (device.revoked) return "revoked";
  if (device.connected) return "connected";
  return device.lastSeenMs === null ? "never seen" : `away ${formatAge(nowMs - device.lastSeenMs)}`;
}

async function revoke(context: Context, name: string): Promise<void> {
  const device = await (await relayOf(context)).revokeDevice(name);
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, device })}\n`);
  else context.io.err(`Revoked ${printable(device.name)}.\n`);
}
