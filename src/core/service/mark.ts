import { crc32 } from "../../wire/crc32.ts";
import { parseJson } from "../../wire/json.ts";
import { z } from "../../wire/zod.ts";
import { SERVICE_ROLES, type ServiceSpec } from "./model.ts";

const MARK_VERSION = 1;
const Mark = z.object({
  v: z.literal(MARK_VERSION),
  role: z.enum(SERVICE_ROLES),
  program: z.array(z.string()).min(1),
  data: z.string(),
  config: z.string().nullable(),
  user: z.string().nullable(),
  crc: z.string(),
});

/** What `service install` writes down about a service file, in a comment of it. */
export type ServiceMark = z.infer<typeof Mark>;

/**
 * foreign: made by somebody else. edited: ours, and changed by hand since. whole: as `service install` wrote it.
 * Only a whole one is replaced or removed unasked.
 */
export type ServiceText =
  | { readonly kind: "foreign" }
  | { readonly kind: "edited"; readonly mark: ServiceMark }
  | { readonly kind: "whole"; readonly mark: ServiceMark };

const WORDS = "Written by `hatchway service install`, which may replace it: put changes of your own elsewhere.";
const WORD = "hatchway-service ";

/** How a kind of file holds a comment of one line. */
export interface CommentStyle {
  readonly before: string;
  readonly after: string;
  /** Of the lines above the comment: an XML declaration must be the first. */
  readonly linesAbove: number;
}
export const HASH_COMMENT: CommentStyle = { before: "# ", after: "", linesAbove: 0 };
export const XML_COMMENT: CommentStyle = { before: "<!-- ", after: " -->", linesAbove: 1 };

/** The text with the mark in it. */
export function marked(text: string, spec: ServiceSpec, { before, after, linesAbove }: CommentStyle): string {
  const mark: ServiceMark = {
    v: MARK_VERSION,
    role: spec.role,
    program: [...spec.program],
    data: spec.dataDir,
    config: spec.configFile,
    user: spec.user,
    crc: checksum(text),
  };
  // `--` may not be in a comment of XML (§2.5), and is in nothing else of JSON than its strings.
  const json = JSON.stringify(mark).replaceAll("--", "-\\u002d");
  const lines = text.split("\n");
  const comments = [WORDS, `${WORD}${json}`].map((line) => `${before}${line}${after}`);
  return [...lines.slice(0, linesAbove), ...comments, ...lines.slice(linesAbove)].join("\n");
}

/** What is known of a service file that is there. */
export function readMarked(text: string, { before, after, linesAbove }: CommentStyle): ServiceText {
  const lines = text.split("\n");
  const line = lines[linesAbove + 1] ?? "";
  const start = `${before}${WORD}`;
  if (!line.startsWith(start) || !line.endsWith(after)) return { kind: "foreign" };
  const parsed = Mark.safeParse(parseJson(line.slice(start.length, line.length - after.length)));
  if (!parsed.success) return { kind: "foreign" };
  const rest = [...lines.slice(0, linesAbove), ...lines.slice(linesAbove + 2)].join("\n");
  const isWhole = checksum(rest) === parsed.data.crc;
  return { kind: isWhole ? "whole" : "edited", mark: parsed.data };
}

/** Tells an edit, and is no protection against anybody: whoever may write the file may write the sum. */
function checksum(text: string): string {
  return crc32(new TextEncoder().encode(text)).toString(16).padStart(8, "0");
}
