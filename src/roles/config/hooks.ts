import { EVENT_KINDS } from "../../core/events.ts";
import { TEMPLATES, unknownTemplates } from "../../core/hooks.ts";
import { EVERYBODY, type OwnerFilter } from "../../core/open-ports.ts";
import { isLoopback } from "../../servers/loopback.ts";
import { type Cidr, compileCidrs } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { z } from "../../wire/zod.ts";
import type { GluetunSettings } from "../gluetun.ts";
import type { HookSettings } from "../hooks/settings.ts";
import * as field from "./fields.ts";
import type { Problem } from "./problem.ts";
import { closest } from "./suggest.ts";

const text = (description: string) => z.string().min(1).max(255).meta({ description });
const file = (description: string) => z.string().min(1).meta({ description });
const client = field.cidrs
  .max(100)
  .meta({ description: "Only what hosts of these networks asked for, or what leads to one." });
const device = text("Only this device's forwards: its name or id.");

const HOST = /^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,9}$/;

const MAX_ARGUMENTS = 64;
const MAX_ARGUMENT_CHARS = 4_096;

export const HookEntry = z.strictObject({
  name: text("How the log calls the hook.").exactOptional(),
  run: z
    .array(z.string().max(MAX_ARGUMENT_CHARS))
    .min(1)
    .max(MAX_ARGUMENTS)
    .meta({
      description: "The program and its arguments; no shell. {{PORT}}, {{PORTS}} and {{VPN_INTERFACE}} are filled in.",
    })
    .exactOptional(),
  url: z.string().min(1).max(2_048).meta({ description: "http:// or https://, told by POST." }).exactOptional(),
  on: z.array(z.enum(EVENT_KINDS)).min(1).meta({ description: "Which events; default all." }).exactOptional(),
  forward: text("Only the forward of this name or id.").exactOptional(),
  device: device.exactOptional(),
  client: client.exactOptional(),
  ports: field.portSet.meta({ description: "Only forwards that have one of these outside ports." }).exactOptional(),
  "key-file": file("A file with the key that signs what goes to url; relative to this file.").exactOptional(),
  timeout: field.duration("How long it may take; default 30s for a program, 10s for a URL.").exactOptional(),
});
export type HookEntry = z.infer<typeof HookEntry>;

export const GluetunEntry = z.strictObject({
  listen: field.listen.meta({ description: "The control server's address and port, such as 8000." }).exactOptional(),
  hosts: z
    .array(z.string().regex(HOST, { error: 'must be a host name, such as "gateway"' }))
    .max(20)
    .meta({
      description: "Names that clients call the control server by, such as a container's; addresses always work.",
    })
    .exactOptional(),
  "status-file": file("The file that holds the open ports; relative to this file.").exactOptional(),
  device: device.exactOptional(),
  client: client.exactOptional(),
  "key-file": file("A file with the key that X-API-Key must say; needed beyond loopback.").exactOptional(),
});
export type GluetunEntry = z.infer<typeof GluetunEntry>;

const PROGRAM_TIMEOUT_SEC = 30;
const WEBHOOK_TIMEOUT_SEC = 10;
const MS_PER_SEC = 1_000;

/** `number` counts the hooks from 1, for one without a name; `beside` makes a path absolute, as the config file has it. */
export function hookSettings(
  entry: HookEntry,
  number: number,
  beside: (path: string) => string,
): Result<HookSettings, Problem> {
  const owner = ownerFilter(entry);
  if (!owner.ok) return owner;
  const { run, url, "key-file": keyFile } = entry;
  const any = {
    label: entry.name ?? `hook ${number}`,
    filter: {
      on: entry.on ?? EVENT_KINDS,
      forward: entry.forward ?? null,
      owner: owner.value,
      ports: entry.ports ?? null,
    },
  };
  const timeoutMs = (defaultSec: number) => (entry.timeout ?? defaultSec) * MS_PER_SEC;
  if (run !== undefined && url !== undefined) {
    return err({ path: ["url"], message: "must stand in a hook of its own: this one has a program already" });
  }
  if (run !== undefined) {
    if (keyFile !== undefined) return err({ path: ["key-file"], message: "is for url: a program needs no signature" });
    const problem = runProblem(run);
    if (problem !== null) return err(problem);
    const [program = "", ...more] = run;
    // Programs start in /: what the file names by a relative path is beside the file, a bare name is in PATH.
    const argv = [program.includes("/") ? beside(program) : program, ...more];
    return ok({ kind: "program", ...any, timeoutMs: timeoutMs(PROGRAM_TIMEOUT_SEC), argv });
  }
  if (url === undefined) return err({ path: [], message: "needs run = [PROGRAM, ARGUMENT, …] or url" });
  const problem = urlProblem(url);
  if (problem !== null) return err({ path: ["url"], message: problem });
  const key = keyFile === undefined ? null : beside(keyFile);
  return ok({ kind: "webhook", ...any, timeoutMs: timeoutMs(WEBHOOK_TIMEOUT_SEC), url, keyFile: key });
}

function runProblem(run: readonly string[]): Problem | null {
  if (run[0] === "") return { path: ["run", 0], message: "must be a program" };
  const zero = run.findIndex((item) => item.includes("\0"));
  if (zero >= 0) return { path: ["run", zero], message: "must not hold a zero byte" };
  const [unknown] = unknownTemplates(run);
  if (unknown === undefined) return null;
  const at = run.findIndex((item) => item.includes(`{{${unknown}}}`));
  const near = closest(unknown, TEMPLATES);
  return {
    path: ["run", at],
    message: `has {{${unknown}}}, which means nothing here; known are ${TEMPLATES.map((name) => `{{${name}}}`).join(", ")}`,
    ...(near === null ? {} : { suggestion: `{{${near}}}` }),
  };
}

function urlProblem(url: string): string | null {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    return "must be a URL that begins with https:// or http://";
  if (parsed.username !== "" || parsed.password !== "") return "must not hold a user name or a password";
  return null;
}

/** `[gluetun]` with its defaults. */
export function gluetunSettings(
  entry: GluetunEntry,
  beside: (path: string) => string,
): Result<GluetunSettings, Problem> {
  const { listen, "status-file": statusFile, "key-file": keyFile } = entry;
  if (listen === undefined && statusFile === undefined)
    return err({ path: [], message: "needs listen or status-file" });
  const owner = ownerFilter(entry);
  if (!owner.ok) return owner;
  const [run, ...more] = listen?.ports.ranges ?? [];
  if (run !== undefined && (more.length > 0 || run.first !== run.last || run.protocol === "udp")) {
    return err({ path: ["listen"], message: "must be one TCP port, such as 127.0.0.1:8000" });
  }
  const lonely = listen === undefined && (["key-file", "hosts"] as const).find((key) => entry[key] !== undefined);
  if (lonely) return err({ path: [lonely], message: "needs listen: it is for the control server" });
  if (listen !== undefined && keyFile === undefined && !isLoopback(listen.bind)) {
    return err({ path: ["listen"], message: "needs key-file: other machines reach it, so they must show a key" });
  }
  return ok({
    listen:
      listen === undefined || run === undefined
        ? null
        : { bind: listen.bind, port: run.first, hosts: (entry.hosts ?? []).map((host) => host.toLowerCase()) },
    keyFile: keyFile === undefined ? null : beside(keyFile),
    statusFile: statusFile === undefined ? null : beside(statusFile),
    owner: owner.value,
  });
}

function ownerFilter(entry: {
  readonly device?: string;
  readonly client?: readonly Cidr[];
}): Result<OwnerFilter, Problem> {
  const { device, client } = entry;
  if (device !== undefined && client !== undefined) {
    return err({ path: ["client"], message: "must not stand beside device: a forward belongs to one of them" });
  }
  if (device !== undefined) return ok({ kind: "device", device });
  return ok(client === undefined ? EVERYBODY : { kind: "client", networks: compileCidrs(client) });
}
