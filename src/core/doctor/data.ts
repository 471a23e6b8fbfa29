import { failure, fine, type Judgement, type NamedJudgement, sentenceOf, skipped, warning } from "./model.ts";

export interface DirectoryFacts {
  readonly path: string;
  /** denied: this user may not look. */
  readonly kind: "missing" | "directory" | "other" | "denied";
  readonly mode: number;
  /** For people: `user hatchway`. */
  readonly owner: string;
  readonly isOwn: boolean;
  /** Effective user 0. */
  readonly isRoot: boolean;
  readonly isWritable: boolean;
  /** By how many bytes the sockets in it have too long a path; 0 = it fits. */
  readonly excessBytes: number;
  /** The system's own data directory, when it is another one and there: a service runs with that. */
  readonly systemDirectory: string | null;
}

const WRITABLE_BY_OTHERS = 0o022;

export function judgeDirectory(facts: DirectoryFacts): Judgement {
  const { path, owner } = facts;
  if (facts.excessBytes > 0) {
    return failure(
      `The path ${path} is ${facts.excessBytes} bytes too long for the sockets in it.`,
      "Choose a shorter one with --data.",
    );
  }
  switch (facts.kind) {
    case "missing":
      return facts.systemDirectory === null
        ? fine(`${path} is not there yet; the first start makes it.`)
        : fine(
            `${path} is not there, but ${facts.systemDirectory} is.`,
            "What runs as a service is looked at by root: `sudo hatchway doctor`.",
          );
    case "other":
      return failure(`${path} is not a directory.`, "Name a directory with --data.");
    case "denied":
      return failure(`This user may not look into ${path}.`, AS_OWNER);
    case "directory":
      break;
    default:
      return facts.kind satisfies never;
  }
  if ((facts.mode & WRITABLE_BY_OTHERS) !== 0) {
    return failure(
      `Others may write to ${path}, and so put their own keys there: nothing starts with it.`,
      `chmod 700 ${path}`,
    );
  }
  if (!facts.isOwn && !facts.isRoot) return warning(`${path} belongs to ${owner}.`, AS_OWNER);
  if (!facts.isWritable) {
    return failure(`${path} cannot be written.`, "See whether its file system is mounted read-only, and who owns it.");
  }
  return fine(`${path}, of ${owner}.`);
}

const AS_OWNER = "Run this command as its owner, or as root; or name your own directory with --data.";

/** A file that holds a key, a password or what only its owner may change. */
export interface FileFacts {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  /** Who is to own it: the data directory's owner. Null = whoever does. */
  readonly wantedOwner: { readonly uid: number; readonly text: string } | null;
  /** secret: nobody else may read it. public: nobody else may change it. */
  readonly kind: "secret" | "public";
}

const READABLE_BY_OTHERS = 0o077;
const ROOT = 0;

/** One judgement for each file that is not as it should be; one in all when they are. */
export function judgeFiles(files: readonly FileFacts[]): readonly (Judgement | NamedJudgement)[] {
  if (files.length === 0) return [skipped("There are no keys and no config file yet.")];
  const wrong = files.flatMap((file) => {
    const judgement = judgeFile(file);
    return judgement === null ? [] : [{ name: file.path.slice(file.path.lastIndexOf("/") + 1), judgement }];
  });
  if (wrong.length > 0) return wrong;
  const sentence =
    files.length === 1 ? "1 file of keys and settings is" : `${files.length} files of keys and settings are`;
  return [fine(`${sentence} closed to others.`)];
}

function judgeFile({ path, mode, uid, kind, wantedOwner }: FileFacts): Judgement | null {
  if (kind === "secret" && (mode & READABLE_BY_OTHERS) !== 0) {
    return failure(
      `Others may read ${path}, which is its owner's alone.`,
      `chmod 600 ${path}\nIf somebody may have read it: put a new one in its place.`,
    );
  }
  if (kind === "public" && (mode & WRITABLE_BY_OTHERS) !== 0) {
    return warning(`Others may change ${path}.`, `chmod go-w ${path}`);
  }
  // A role that is not root runs as the directory's owner, and could not read what root made there.
  if (wantedOwner !== null && uid !== wantedOwner.uid && wantedOwner.uid !== ROOT) {
    const { uid: wanted, text } = wantedOwner;
    return warning(`${path} does not belong to the owner of its directory, ${text}.`, `chown ${wanted} ${path}`);
  }
  return null;
}

export interface ConfigFacts {
  readonly path: string;
  /** Null = there is no file. Forwards of all kinds. */
  readonly forwards: number | null;
  /** This user may not read it. */
  readonly isDenied: boolean;
  /** What is wrong with it, as `config validate` says it; null = nothing. */
  readonly problem: string | null;
}

export function judgeConfig({ path, forwards, isDenied, problem }: ConfigFacts): Judgement {
  if (isDenied) return warning(`This user may not read ${path}.`, AS_OWNER);
  if (problem !== null) {
    const [first = "", ...rest] = problem.split("\n").filter((line) => line.startsWith(path) || /^\S/.test(line));
    // A file that it names is another user's, for whom it may be right.
    if (rest.length === 0 && /is not allowed to\.$/.test(first)) return warning(first, AS_OWNER);
    const more = rest.filter((line) => line.startsWith(`${path}:`)).length;
    return failure(
      `${sentenceOf(first)}${more === 0 ? "" : ` There ${more === 1 ? "is 1 more mistake" : `are ${more} more mistakes`}.`}`,
      "Mend it there, then see that `hatchway config validate` finds nothing.",
    );
  }
  if (forwards === null) return fine(`There is no ${path}: everything is at its default.`);
  return fine(
    `${path} is right; it lists ${forwards === 0 ? "no forwards" : forwards === 1 ? "1 forward" : `${forwards} forwards`}.`,
  );
}

export interface DiskFacts {
  readonly freeBytes: number;
  /** Null = the file system does not count them. */
  readonly freeFiles: number | null;
}

const MEGABYTE = 1_000_000;
/** The store's write-ahead log alone may take some megabytes. */
const DISK_FULL_BYTES = 20 * MEGABYTE;
const DISK_LOW_BYTES = 200 * MEGABYTE;
const FEW_FILES = 100;

/** Null = the system does not tell. */
export function judgeDisk(facts: DiskFacts | null): Judgement {
  if (facts === null) return skipped("This system does not tell how much room its disk has.");
  const { freeBytes, freeFiles } = facts;
  const room =
    freeBytes < 1_000 * MEGABYTE
      ? `${Math.floor(freeBytes / MEGABYTE)} MB`
      : `${Math.floor(freeBytes / (1_000 * MEGABYTE))} GB`;
  const sentence = `The disk of the data directory has ${room} left.`;
  if (freeFiles !== null && freeFiles < FEW_FILES) {
    return failure(
      `The disk of the data directory has room for ${freeFiles} more files.`,
      "Remove files that nobody needs.",
    );
  }
  if (freeBytes < DISK_FULL_BYTES) return failure(sentence, "Make room: what is changed now cannot be kept.");
  return freeBytes < DISK_LOW_BYTES ? warning(sentence, "Make room before it is full.") : fine(sentence);
}

export interface StoreFacts {
  readonly path: string;
  /** missing: no relay or gateway was ever run with it. */
  readonly kind: "missing" | "sound" | "not-a-database" | "denied" | "read-only";
}

export function judgeStore({ path, kind }: StoreFacts): Judgement {
  switch (kind) {
    case "missing":
      return skipped("No relay or gateway was run with this data directory.");
    case "sound":
      return fine(`${path} is a database, and can be written.`);
    case "not-a-database":
      return failure(
        `${path} is not a database.`,
        "Put it back from a backup, or move it away to start anew; then every agent must join again.",
      );
    case "denied":
      return warning(`This user may not read ${path}.`, AS_OWNER);
    case "read-only":
      return failure(`${path} cannot be written.`, "Check its owner, and whether its disk is mounted read-only.");
    default:
      return kind satisfies never;
  }
}

/** A relay, an agent or a gateway, as its local socket answers. */
export type RoleSight<Status> =
  | { readonly kind: "none" }
  | { readonly kind: "runs"; readonly status: Status }
  /** Another user's, or it gives no answer that can be used: `message` says so and what to do. */
  | { readonly kind: "odd"; readonly message: string };

export interface RolesFacts {
  readonly version: string;
  readonly roles: readonly {
    readonly name: "relay" | "agent" | "gateway";
    readonly sight: RoleSight<{ readonly version: string }>;
  }[];
}

export function judgeRoles({ version, roles }: RolesFacts): Judgement {
  for (const { name, sight } of roles) {
    if (sight.kind === "odd")
      return warning(`The ${name} here cannot be asked: ${sentenceOf(sight.message)}`, AS_OWNER);
    if (sight.kind === "runs" && sight.status.version !== version) {
      return warning(
        `The running ${name} is version ${sight.status.version}, and this program ${version}.`,
        `Start the ${name} again to have the same version.`,
      );
    }
  }
  const running = roles
    .filter(({ sight }) => sight.kind === "runs")
    .map(({ name }) => `${name === "agent" ? "an" : "a"} ${name}`);
  if (running.length === 0) return fine("No relay, agent or gateway runs with this directory.");
  const text = listText(running);
  return fine(
    `${text[0]?.toUpperCase()}${text.slice(1)} ${running.length === 1 ? "runs" : "run"} with it, of this version.`,
  );
}

export function listText(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
