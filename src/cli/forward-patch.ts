import type { ForwardPatch, RemoteForwardSpec } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { type EntryOption, EXPOSE_OPTIONS, entryOf, exposeSpecOf } from "./entry-options.ts";

/** What a forward is known by, or holds from the start, stays: make another one. */
const FIXED = ["--as", "--name", "--group", "--lifetime"];
/** In the place of a value: the setting is taken away. */
const NONE = "none";
const LISTS = ["allow", "deny"];

/** Of `forward set`: `forward add`'s, as far as they can change. */
export const PATCH_OPTIONS: readonly EntryOption[] = [
  { flags: "--ports <PORTSET>", text: "other ports, OUTSIDE:INSIDE where the two differ", kind: "text" },
  ...EXPOSE_OPTIONS.filter(({ flags }) => !FIXED.includes(flags.split(" ")[0] ?? "")),
];

type Given = Readonly<Record<string, unknown>>;

/** The options that a person gave, as a patch of the API. Throws ControlError `usage` with every problem, by option. */
export async function forwardPatchOf({ enable, disable, ...given }: Given): Promise<ForwardPatch> {
  if (enable === true && disable === true) throw new ControlError("usage", "Say --enable or --disable, not both.");
  const taken = Object.entries(given).filter(([, value]) => isNone(value));
  const kept = Object.fromEntries(Object.entries(given).filter(([, value]) => !isNone(value)));
  const checked = await checkedBy(kept);
  const { "basic-auth-file": file, ...settings } = entryOf(kept, PATCH_OPTIONS);
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(settings)) patch[camelCase(key)] = value;
  // The API has rates as people write them.
  if (typeof patch["newPerSource"] === "number") patch["newPerSource"] = `${patch["newPerSource"]}/s`;
  for (const [name] of taken) Object.assign(patch, nothingOf(name));
  // With hashes for passwords, which the API takes as such.
  const logins = checked.remote.site?.logins ?? [];
  if (file !== undefined) patch["logins"] = logins.map(({ user, hash }) => ({ user, password: hash }));
  if (enable === true || disable === true) patch["enabled"] = enable === true;
  if (Object.keys(patch).length > 0) return patch as ForwardPatch;
  throw new ControlError("usage", "Say what is to change, such as --allow 198.51.100.0/24 or --disable.");
}

function isNone(value: unknown): boolean {
  return value === NONE || (Array.isArray(value) && value.length === 1 && value[0] === NONE);
}

/** By the rules of `forward add`, in its words. */
async function checkedBy(given: Given): Promise<RemoteForwardSpec> {
  const { ports, host, ...rest } = given;
  const isSite = ["tls", "http2", "basicAuthFile"].some((name) => rest[name] !== undefined);
  // Whether it is a site is known where the forward is: here, what a site alone has is looked at as one's.
  const hosts = host ?? (isSite ? ["site.example"] : undefined);
  return await exposeSpecOf(String(ports ?? "1"), hosts === undefined ? rest : { ...rest, host: hosts });
}

function nothingOf(name: string): Partial<ForwardPatch> {
  if (name === "basicAuthFile") return { logins: [] };
  if (LISTS.includes(name)) return { [name]: [] };
  if (TAKEN_AWAY.has(name)) return { [name]: null };
  const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new ControlError("usage", `${option} cannot be "${NONE}": give it a value.`);
}

const TAKEN_AWAY = new Set<string>([
  "to",
  "connections",
  "connectionsPerSource",
  "newPerSource",
  "bandwidth",
  "proxyProtocol",
  "healthCheck",
  "idle",
  "udpIdle",
] satisfies (keyof ForwardPatch)[]);

function camelCase(key: string): string {
  return key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
