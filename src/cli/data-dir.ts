import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type DataPaths, dataPaths } from "../os/paths.ts";
import type { Config } from "../roles/config/load.ts";
import type { Context } from "./context.ts";

const CONFIG_NAME = "hatchway.toml";
/** Root's, and that of what runs as a service. */
export const SYSTEM_DIRECTORY = "/var/lib/hatchway";

export interface Place {
  readonly paths: DataPaths;
  /** Reads the config again at each call. Rejects with ControlError `usage`. */
  readonly readConfig: () => Promise<Config>;
}

/**
 * Where a command's data is: --data, $HATCHWAY_DATA, `data` of the file that --config names, and at last
 * /var/lib/hatchway for root and $XDG_DATA_HOME/hatchway for everybody else. The config file is the one that --config
 * names, else hatchway.toml in the data directory; never one that happens to lie in the current directory.
 */
export async function findPlace(context: Context, role: "relay" | "agent" | "gateway"): Promise<Place> {
  // Most commands only need the directory, and not the schemas of the config.
  const loadConfig = async (path: string, required: boolean) =>
    (await import("../roles/config/load.ts")).loadConfig(path, required);
  const { options } = context;
  const named = options.config === undefined ? null : resolve(options.config);
  let directory = options.data ?? (context.io.env["HATCHWAY_DATA"] || undefined);
  if (directory === undefined && named !== null) {
    const fromFile = (await loadConfig(named, true)).file[role]?.data;
    if (fromFile !== undefined) directory = resolve(dirname(named), fromFile);
  }
  const paths = dataPaths(directory ?? defaultDirectory(context));
  const configPath = named ?? join(paths.directory, CONFIG_NAME);
  return { paths, readConfig: () => loadConfig(configPath, named !== null) };
}

/** The file that `config validate` checks when none is named. */
export function defaultConfigPath(context: Context): string {
  if (context.options.config !== undefined) return resolve(context.options.config);
  const directory = context.options.data ?? (context.io.env["HATCHWAY_DATA"] || defaultDirectory(context));
  const inData = join(resolve(directory), CONFIG_NAME);
  // A person who checks a file is mostly beside it.
  return existsSync(inData) ? inData : resolve(CONFIG_NAME);
}

function defaultDirectory({ io }: Context): string {
  if (io.isRoot) return SYSTEM_DIRECTORY;
  return join(io.env["XDG_DATA_HOME"] || join(io.env["HOME"] || homedir(), ".local", "share"), "hatchway");
}
