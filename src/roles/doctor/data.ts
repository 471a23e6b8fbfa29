import { dirname, resolve } from "node:path";
import {
  type DirectoryFacts,
  type DiskFacts,
  type FileFacts,
  judgeConfig,
  judgeDirectory,
  judgeDisk,
  judgeFiles,
  judgeRoles,
  judgeStore,
  type StoreFacts,
} from "../../core/doctor/data.ts";
import { HAS_POSIX_FILES, PRIVATE_DIRECTORY_MODE } from "../../os/files.ts";
import { firstBytes, isEnterable, isReadable, isWritable, lookAtPath, roomAt } from "../../os/look.ts";
import { socketPathExcess } from "../../os/paths.ts";
import { userText } from "../../os/users.ts";
import { VERSION } from "../../os/version.ts";
import type { Config } from "../config/load.ts";
import type { Check } from "./checks.ts";
import { isThere, type World } from "./world.ts";

export const DATA_CHECKS: readonly Check[] = [
  {
    id: "directory",
    section: "data",
    doing: "Looking at the data directory",
    look: async (world) => judgeDirectory(await directoryFacts(world)),
  },
  {
    id: "config",
    section: "data",
    doing: "Reading the config file",
    look: async (world) => {
      const { config, problem } = await world.config();
      const listed = config === null ? 0 : config.forwards.length + (config.file.mapping?.length ?? 0);
      const { kind } = await lookAtPath(world.configPath);
      const isDenied = kind === "denied" || (kind === "file" && !(await isReadable(world.configPath)));
      return judgeConfig({ path: world.configPath, forwards: config?.path == null ? null : listed, isDenied, problem });
    },
  },
  {
    id: "files",
    section: "data",
    doing: "Looking at who may read the keys",
    look: async (world) => judgeFiles(await fileFacts(world)),
  },
  {
    id: "disk",
    section: "data",
    doing: "Looking at the disk",
    look: async (world) => judgeDisk(await diskFacts(world.paths.directory)),
  },
  {
    id: "store",
    section: "data",
    isInside: true,
    doing: "Looking at the database",
    look: async (world) => judgeStore(await storeFacts(world.paths.database)),
  },
  {
    id: "roles",
    section: "data",
    isInside: true,
    doing: "Asking what runs here",
    look: async (world) => {
      const [relay, agent, gateway] = await Promise.all([world.relay(), world.agent(), world.gateway()]);
      const roles = [
        { name: "relay", sight: relay },
        { name: "agent", sight: agent },
        { name: "gateway", sight: gateway },
      ] as const;
      return judgeRoles({ version: VERSION, roles });
    },
  },
];

async function directoryFacts({ paths, isRoot, systemDir }: World): Promise<DirectoryFacts> {
  const path = paths.directory;
  const found = await lookAtPath(path);
  const nowhere = {
    path,
    mode: 0,
    owner: "",
    isOwn: false,
    isRoot,
    isWritable: false,
    excessBytes: socketPathExcess(paths),
    systemDirectory: systemDir !== null && (await isThere(systemDir)) ? systemDir : null,
  };
  switch (found.kind) {
    case "missing":
    case "denied":
      return { ...nowhere, kind: found.kind };
    case "file":
    case "other":
      return { ...nowhere, kind: "other" };
    case "directory": {
      const { mode, uid } = found;
      const owner = userText(uid);
      if (!(await isEnterable(path))) return { ...nowhere, mode, owner, kind: "denied" };
      const isOwn = process.geteuid === undefined || process.geteuid() === uid;
      return {
        ...nowhere,
        kind: "directory",
        mode: HAS_POSIX_FILES ? mode : PRIVATE_DIRECTORY_MODE,
        owner,
        isOwn,
        isWritable: await isWritable(path),
      };
    }
    default:
      return found satisfies never;
  }
}

async function fileFacts(world: World): Promise<FileFacts[]> {
  // Elsewhere modes say nothing: there the user's profile protects the files.
  if (!HAS_POSIX_FILES) return [];
  const { paths } = world;
  const directory = await lookAtPath(paths.directory);
  const wantedOwner = directory.kind === "directory" ? { uid: directory.uid, text: userText(directory.uid) } : null;
  const own = [paths.deviceKey, paths.relayKey, paths.agentState, paths.database];
  const { config } = await world.config();
  const wanted = [
    ...own.map((path) => ({ path, kind: "secret" as const, wantedOwner })),
    ...(config === null ? [] : secretFiles(config)).map((path) => ({
      path,
      kind: "secret" as const,
      wantedOwner: null,
    })),
    { path: resolve(world.configPath), kind: "public" as const, wantedOwner: null },
  ];
  const facts = await Promise.all(
    wanted.map(async (file): Promise<FileFacts[]> => {
      const found = await lookAtPath(file.path);
      return found.kind === "file" ? [{ ...file, mode: found.mode, uid: found.uid }] : [];
    }),
  );
  return facts.flat();
}

/** The files of keys and passwords that a config file names, as absolute paths. */
export function secretFiles({ path, file }: Config): string[] {
  if (path === null) return [];
  const named = [
    file.relay?.key,
    file.agent?.key,
    ...(file.socks ?? []).map((entry) => entry["password-file"]),
    ...(file.hook ?? []).map((entry) => entry["key-file"]),
    file.gluetun?.["key-file"],
  ];
  return [...new Set(named.flatMap((one) => (one === undefined ? [] : [resolve(dirname(path), one)])))];
}

/** Of the nearest directory that is there. */
async function diskFacts(directory: string): Promise<DiskFacts | null> {
  for (let at = directory; ; at = dirname(at)) {
    const room = await roomAt(at);
    if (room !== null) return { freeBytes: room.bytes, freeFiles: room.files };
    if (at === dirname(at)) return null;
  }
}

/** sqlite.org/fileformat2.html §1.3.1. It is not opened: SQLite would make files beside it. */
const SQLITE_MAGIC = "SQLite format 3\u0000";

async function storeFacts(path: string): Promise<StoreFacts> {
  const { kind } = await lookAtPath(path);
  if (kind === "missing") return { path, kind: "missing" };
  if (kind === "denied" || !(await isReadable(path))) return { path, kind: "denied" };
  const head = Buffer.from(await firstBytes(path, SQLITE_MAGIC.length)).toString("latin1");
  // A file that was just made is empty until the first write.
  if (head !== "" && head !== SQLITE_MAGIC) return { path, kind: "not-a-database" };
  return { path, kind: (await isWritable(path)) ? "sound" : "read-only" };
}
