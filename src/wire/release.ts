import { parseJson } from "./json.ts";
import { err, ok, type Result } from "./result.ts";
import { z } from "./zod.ts";

/** A release that a person or a mirror keeps; more is no manifest. */
export const MAX_RELEASE_BYTES = 256 * 1_024;
const MAX_FILES = 100;
/** The shape of https://semver.org, without the metadata of a build: two builds of a version are one version. */
const VERSION = /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]{1,64})?$/;

const version = z.string().regex(VERSION);
const file = {
  /** Beside the manifest; never a path. */
  name: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
};

/** `release.json`: what scripts/release.ts made, for `hatchway upgrade --check` and for people's own programs. */
export const Release = z.object({
  v: z.literal(1),
  name: z.literal("hatchway"),
  version,
  /** The version of the Bun inside. */
  bun: version,
  files: z
    .array(
      z.object({
        ...file,
        /** The system and the processor that it is for, such as `linux-x64`. */
        target: z.string().regex(/^[a-z]{1,16}-[a-z0-9]{1,16}$/),
      }),
    )
    .max(MAX_FILES),
  /** CycloneDX. */
  sbom: z.object(file),
});
export type Release = z.infer<typeof Release>;

export interface ReleaseError {
  /** Continues "The manifest …". */
  readonly message: string;
}

export function decodeRelease(text: string): Result<Release, ReleaseError> {
  if (text.length > MAX_RELEASE_BYTES) return err({ message: "is too big to be one" });
  const read = Release.safeParse(parseJson(text));
  if (read.success) return ok(read.data);
  const [issue] = read.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.join(".")}`;
  return err({ message: `is not one of Hatchway's${place}` });
}

export function encodeRelease(release: Release): string {
  return `${JSON.stringify(release, null, 2)}\n`;
}
