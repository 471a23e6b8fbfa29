import { type ForwardSpec, partOf } from "../core/forward.ts";
import { type FileError, readPrivateText, replaceFile } from "../os/files.ts";
import { dataPaths } from "../os/paths.ts";
import type { HostPort } from "../wire/endpoint.ts";
import { FINGERPRINT_BYTES } from "../wire/join-code.ts";
import { parseJson } from "../wire/json.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { forwardSpecSchema } from "../wire/spec-schema.ts";
import { z } from "../wire/zod.ts";

/**
 * What an agent remembers: one JSON file (`agent.json`, mode 0600), replaced whole.
 *
 * A file and not the relay's SQLite: an agent has one writer and a few kilobytes that are read once, at start, and
 * written when a person adds or removes something; there is nothing to query. A rename gives the same all-or-nothing
 * and the same durability, and whoever moves an agent to another machine can read what he copies. The device key has
 * a file of its own. A local forward's password is in it as the user gave it, which is why others may not read it.
 */
export interface AgentState {
  /** Null before the first join. */
  enrolment(): Enrolment | null;
  /** People at the relay may choose forwards for this machine. */
  managed(): boolean;
  /** What was added to last, in the order of the adding. */
  forwards(): readonly ForwardSpec[];
  /** Each resolves when the new state is on the disk; on an error the old one stands, here and there. */
  enrol(enrolment: Enrolment): Promise<Result<void, FileError>>;
  setManaged(managed: boolean): Promise<Result<void, FileError>>;
  /** A forward of the same id is replaced where it stands. */
  put(forward: ForwardSpec): Promise<Result<void, FileError>>;
  /** False when there was none of this id. */
  remove(id: string): Promise<Result<boolean, FileError>>;
}

/** Which relay, and how it is known again. */
export interface Enrolment {
  readonly relay: HostPort;
  readonly trust: "pinned" | "public-ca";
  /** SHA-256 of the relay certificate's SPKI; null only with `public-ca`. */
  readonly fingerprint: Uint8Array | null;
  readonly deviceName: string;
}

const FILE_VERSION = 1;
const PORT_MAX = 65_535;
const HEX_PER_BYTE = 2;

const enrolmentSchema = z
  .object({
    relay: z.object({ host: z.string().min(1), port: z.int().min(1).max(PORT_MAX) }),
    trust: z.enum(["pinned", "public-ca"]),
    fingerprint: z
      .string()
      .regex(/^[0-9a-f]*$/)
      .length(FINGERPRINT_BYTES * HEX_PER_BYTE)
      .nullable(),
    deviceName: z.string().min(1),
  })
  .refine(({ trust, fingerprint }) => trust === "public-ca" || fingerprint !== null);

const fileSchema = z.object({
  version: z.literal(FILE_VERSION),
  enrolment: enrolmentSchema.nullable(),
  /** Absent in files of before. */
  managed: z.boolean().default(false),
  forwards: z.array(forwardSpecSchema),
});
const versionSchema = z.object({ version: z.number().gt(FILE_VERSION) });

interface Content {
  readonly managed: boolean;
  readonly enrolment: Enrolment | null;
  readonly forwards: readonly ForwardSpec[];
}

/** Reads the state of a data directory; a missing file is an agent that never joined. One process at a time owns it. */
export async function openAgentState(directory: string): Promise<Result<AgentState, FileError>> {
  const path = dataPaths(directory).agentState;
  const text = await readPrivateText(path);
  if (!text.ok) return text;
  const content =
    text.value === null ? ok({ enrolment: null, managed: false, forwards: [] }) : decode(text.value, path);
  return content.ok ? ok(stateOn(path, content.value)) : content;
}

function stateOn(path: string, initial: Content): AgentState {
  let content = initial;
  let lastWrite: Promise<unknown> = Promise.resolve();
  /** Writes follow one another, and each starts from what the one before it left. */
  const change = (next: (present: Content) => Content): Promise<Result<void, FileError>> => {
    const written = lastWrite.then(async () => {
      const wanted = next(content);
      const result = await replaceFile(path, encode(wanted));
      if (result.ok) content = wanted;
      return result;
    });
    lastWrite = written;
    return written;
  };
  return {
    enrolment: () => content.enrolment,
    managed: () => content.managed,
    forwards: () => content.forwards,
    enrol: (enrolment) => change((present) => ({ ...present, enrolment })),
    setManaged: async (managed) =>
      managed === content.managed ? ok(undefined) : change((present) => ({ ...present, managed })),
    put: (forward) => change((present) => ({ ...present, forwards: withForward(present.forwards, forward) })),
    async remove(id) {
      let found = false;
      const result = await change((present) => {
        const forwards = present.forwards.filter((forward) => partOf(forward).id !== id);
        found = forwards.length < present.forwards.length;
        return { ...present, forwards };
      });
      return result.ok ? ok(found) : result;
    },
  };
}

function withForward(forwards: readonly ForwardSpec[], added: ForwardSpec): readonly ForwardSpec[] {
  const at = forwards.findIndex((forward) => partOf(forward).id === partOf(added).id);
  return at < 0 ? [...forwards, added] : forwards.with(at, added);
}

function encode({ enrolment, managed, forwards }: Content): string {
  const fingerprint = enrolment?.fingerprint;
  const file = {
    version: FILE_VERSION,
    enrolment:
      enrolment === null
        ? null
        : { ...enrolment, fingerprint: fingerprint == null ? null : Buffer.from(fingerprint).toString("hex") },
    managed,
    forwards,
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

function decode(text: string, path: string): Result<Content, FileError> {
  const json = parseJson(text);
  if (versionSchema.safeParse(json).success)
    return err({ kind: "damaged", message: `${path} was written by a newer Hatchway: update the program.` });
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const place = parsed.error.issues[0]?.path.join(".") || "the text";
    const message = `${path} cannot be read (at ${place}): put it back from a backup, or delete it and join again.`;
    return err({ kind: "damaged", message, cause: parsed.error });
  }
  const { enrolment, managed, forwards } = parsed.data;
  const fingerprint = enrolment?.fingerprint ?? null;
  return ok({
    enrolment:
      enrolment === null
        ? null
        : {
            ...enrolment,
            fingerprint: fingerprint === null ? null : new Uint8Array(Buffer.from(fingerprint, "hex")),
          },
    managed,
    forwards,
  });
}
