import { readFile, stat } from "node:fs/promises";
import { Reader } from "mmdb-lib";
import { errorCode, messageOf } from "../../os/errors.ts";
import type { CountriesBackend } from "../../servers/api/backend.ts";
import { isIpv6 } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { Looked } from "../certificate/source.ts";
import { ControlError } from "../control.ts";

/** Between two looks whether the file is another one: those who publish such files do so by the day. */
const LOOK_EVERY_MS = 30_000;
/** All of it is held in memory. The largest with countries that is known has 130 MB (GeoIP2-Enterprise). */
const MAX_BYTES = 256 * 1024 * 1024;

interface Loaded {
  readonly reader: Reader<never>;
  /** Of the file that it was read from: another one is another text. */
  readonly mark: string;
}

export interface CountryFileOptions {
  readonly path: string;
  /** Monotonic. */
  nowMs(): number;
  /** One sentence. */
  warn(message: string): void;
}

/**
 * In which country addresses are, by a file in the MaxMind DB format 2.0: MaxMind's GeoLite2, DB-IP's and IPinfo's free ones.
 * Nobody is asked over the network. The file is read once, and again when it is another one; whatever replaces it need not
 * tell us. One that cannot be read leaves the one before in force.
 */
export class CountryFile implements CountriesBackend {
  readonly #options: CountryFileOptions;
  #loaded: Loaded;
  #nextLookMs: number;
  #looking: Promise<Looked> | null = null;
  /** Told once. */
  #refused: string | null = null;
  #isBroken = false;

  private constructor(options: CountryFileOptions, loaded: Loaded) {
    this.#options = options;
    this.#loaded = loaded;
    this.#nextLookMs = options.nowMs() + LOOK_EVERY_MS;
  }

  /** Rejects with ControlError `usage` when the file cannot be used. */
  static async open(options: CountryFileOptions): Promise<CountryFile> {
    const loaded = await load(options.path);
    if (!loaded.ok) throw new ControlError("usage", loaded.error);
    return new CountryFile(options, loaded.value);
  }

  async countriesOf(addresses: readonly string[]): Promise<readonly (string | null)[]> {
    const nowMs = this.#options.nowMs();
    if (nowMs >= this.#nextLookMs) {
      this.#nextLookMs = nowMs + LOOK_EVERY_MS;
      const looked = await this.look();
      if (looked.kind === "refused" && looked.message !== this.#refused) this.#options.warn(looked.message);
      this.#refused = looked.kind === "refused" ? looked.message : null;
    }
    return addresses.map((address) => this.#countryOf(address));
  }

  /** Looks now whether the file is another one. */
  look(): Promise<Looked> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<Looked> {
    const { path } = this.#options;
    const mark = await markOf(path).catch(() => null);
    if (mark === this.#loaded.mark) return { kind: "same" };
    const loaded = await load(path);
    if (!loaded.ok) return { kind: "refused", message: `${loaded.error} The one before stays in use.` };
    this.#loaded = loaded.value;
    this.#isBroken = false;
    return { kind: "renewed" };
  }

  #countryOf(address: string): string | null {
    const { reader } = this.#loaded;
    // The reader would take the first bits of an IPv6 address for one of IPv4.
    if (reader.metadata.ipVersion === IPV4 && isIpv6(address)) return null;
    try {
      return codeIn(reader.get(address));
    } catch (error) {
      if (!this.#isBroken) this.#options.warn(`${broken(this.#options.path)} (${messageOf(error)})`);
      this.#isBroken = true;
      return null;
    }
  }
}

const IPV4 = 4;
/** Of ISO 3166-1. */
const CODE = /^[A-Z]{2}$/;

/** MaxMind and DB-IP: `country.iso_code`; IPinfo: `country_code`, or `country` in its older files. */
function codeIn(record: unknown): string | null {
  const code = [at(at(record, "country"), "iso_code"), at(record, "country_code"), at(record, "country")].find(
    (one) => typeof one === "string" && CODE.test(one),
  );
  return typeof code === "string" ? code : null;
}

function at(record: unknown, key: string): unknown {
  return typeof record === "object" && record !== null ? Reflect.get(record, key) : undefined;
}

/** An error is one sentence. */
async function load(path: string): Promise<Result<Loaded, string>> {
  let bytes: Buffer;
  let mark: string;
  try {
    // Before it is read: one that is replaced meanwhile is found to be another by the next look.
    mark = await markOf(path);
    const { size } = await stat(path);
    if (size > MAX_BYTES)
      return err(`The country database ${path} is larger than 256 MiB: name one of countries alone.`);
    bytes = await readFile(path);
  } catch (error) {
    const why = errorCode(error) === "ENOENT" ? "is not there" : `cannot be read (${messageOf(error)})`;
    return err(`The country database ${path} ${why}: name a file in the MaxMind DB format, or take it out.`);
  }
  try {
    return ok({ reader: new Reader<never>(bytes), mark });
  } catch {
    // What the library says is about its own structures.
    return err(broken(path));
  }
}

function broken(path: string): string {
  return `The country database ${path} is no whole file in the MaxMind DB format (.mmdb): download it again.`;
}

async function markOf(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(path);
  return [ino, size, mtimeMs].join(" ");
}
