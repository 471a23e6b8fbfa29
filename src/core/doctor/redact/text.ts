import { addressBytes, classifyAddress, isIpv6, parseAddress } from "../../../wire/address.ts";
import { type Kind, Placeholders } from "./placeholders.ts";
import { FILE_ENDINGS, SETTING_STARTS, SYSTEM_PATHS, VOCABULARY } from "./words.ts";

/** What is known to be here and is to be found wherever it stands. */
export interface Known {
  /** Contents of key and password files, join codes: longer than MIN_SECRET_CHARS, or they are not looked for. */
  readonly secrets: readonly string[];
  readonly names: readonly { readonly kind: Kind; readonly text: string }[];
}

export const HIDDEN = "(hidden)";
/** Shorter ones stand in every text by chance. */
export const MIN_SECRET_CHARS = 4;
const MIN_NAME_CHARS = 2;

/** Around what was replaced already, so that no later rule replaces a part of that. Not found in the text itself. */
const OPEN = "\uE000";
const CLOSE = "\uE001";

const PEM = /-----BEGIN [A-Z ]{0,40}-----[\s\S]*?(?:-----END [A-Z ]{0,40}-----|$)/g;
const JOIN_CODE = /hatchway\d{1,3}-[a-z2-7]{4,}/gi;
const URL = /\b([a-z][a-z0-9+.-]{1,20}):\/\/[^\s"'<>`]{1,2000}/gi;
const BEARER = /\b(Bearer|Basic)\s+[^\s"',;]+/gi;
const LABELLED =
  /\b([\w-]{0,40}(?:secret|passw(?:or)?d|passphrase|token|psk|preshared|private[-_ ]?key|api[-_]?key|authorization|cookie|credential|username)[\w-]{0,40})(["']?\s{0,4}[:=]\s{0,4})("(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|[^\s,}\])]+)/gi;
const MAIL = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}/g;
const PATH = /(?<![\w.~/)\uE001-])(?:~?\/|[a-z]:\\)[^\s"'`:;,()<>|]{2,4000}/gi;
const MAC = /(?<![:\w])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?![:\w])/gi;
const IPV6 = /[0-9a-f]{0,4}:[0-9a-f:.]{1,60}(?:%[\w.-]{1,16})?/gi;
const IPV4 = /(?<!\d|\d\.)\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)/g;
const HOST =
  /(?<![\w@.\uE001-])(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.){1,20}[a-z][a-z0-9_-]{0,61}[a-z0-9](?![\w-])/gi;
/** Keys and tokens in base64 or hexadecimal; words of letters alone only when nobody writes one so long. */
const TOKEN = /[A-Za-z0-9+/_-]{20,}={0,2}/g;
const LONG_TOKEN_CHARS = 40;
const PRIVATE_USE = /[\uE000-\uF8FF]/g;

/** Takes secrets, public addresses and names out of any text: sentences, logs, what other machines said of themselves. */
export class TextRedactor {
  readonly placeholders: Placeholders;
  readonly #secrets: readonly string[];
  readonly #names: readonly { readonly kind: Kind; readonly text: string; readonly pattern: RegExp | null }[];

  constructor(known: Known, placeholders = new Placeholders()) {
    this.placeholders = placeholders;
    // The longest first: one may be a part of another.
    this.#secrets = [...new Set(known.secrets)]
      .filter((secret) => secret.length >= MIN_SECRET_CHARS)
      .toSorted((a, b) => b.length - a.length);
    this.#names = known.names
      .filter(({ text }) => isTelling(text))
      .toSorted((a, b) => b.text.length - a.text.length)
      .map(({ kind, text }) => ({ kind, text, pattern: wholeWord(text) }));
  }

  redact(text: string): string {
    const kept: string[] = [];
    const keep = (replaced: string): string => `${OPEN}${kept.push(replaced) - 1}${CLOSE}`;
    let rest = text.replace(PRIVATE_USE, "?");
    for (const secret of this.#secrets) rest = rest.replaceAll(secret, () => keep("(secret)"));
    rest = rest
      .replace(PEM, () => keep("(secret)"))
      .replace(JOIN_CODE, () => keep("(join code)"))
      .replace(URL, (url, scheme: string) => keep(this.#url(url, scheme)))
      .replace(BEARER, (_all, word: string) => keep(`${word} ${HIDDEN}`))
      .replace(LABELLED, (_all, label: string, between: string) => `${label}${between}${keep(HIDDEN)}`)
      .replace(MAIL, () => keep("(mail address)"))
      .replace(PATH, (path) => this.#path(path, keep));
    rest = this.#withoutNames(rest, keep)
      .replace(MAC, (mac) => keep(this.placeholders.for("mac", mac.toLowerCase().replaceAll("-", ":"))))
      .replace(IPV6, (found) => this.#ipv6(found, keep))
      .replace(IPV4, (found) => keep(this.address(withoutZeros(found)) ?? found))
      .replace(HOST, (found) => this.#dotted(found, keep))
      .replace(TOKEN, (token) => (isKeyLike(token) ? keep(this.placeholders.for("key", token)) : token));
    return expand(rest, kept);
  }

  /** What stands for an address: itself when it is private and tells nothing of the machine. Null = it is none. */
  address(text: string): string | null {
    const parsed = parseAddress(text);
    if (!parsed.ok) return null;
    const address = parsed.value;
    return staysReadable(address) ? text : this.placeholders.for("address", address);
  }

  /** What stands for a name: the same everywhere. */
  name(kind: Kind, text: string): string {
    const known = this.#names.find((one) => one.text.toLowerCase() === text.toLowerCase());
    return this.placeholders.for(known?.kind ?? kind, text.toLowerCase());
  }

  /** A host that stands by itself, of one label too. */
  host(text: string): string {
    if (text === "" || text === "*" || text.toLowerCase() === "localhost") return text;
    return this.address(text) ?? this.name("host", text.replace(/\.$/, ""));
  }

  #url(url: string, scheme: string): string {
    const authority = url.slice(scheme.length + "://".length).split(/[/?#]/, 1)[0] ?? "";
    const place = authority.slice(authority.lastIndexOf("@") + 1);
    const [, host = "", port = ""] = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(place) ?? [];
    const inner = host.replace(/^\[|\]$/g, "");
    return `${scheme}://${this.host(inner)}${port}/…`;
  }

  #withoutNames(text: string, keep: (replaced: string) => string): string {
    let rest = text;
    for (const { kind, text: name, pattern } of this.#names) {
      const replaced = () => keep(this.placeholders.for(kind, name.toLowerCase()));
      rest = rest.replaceAll(`"${name}"`, () => `"${replaced()}"`);
      if (pattern !== null) rest = rest.replace(pattern, replaced);
    }
    return rest;
  }

  #path(path: string, keep: (replaced: string) => string): string {
    const end = /[.?!]$/.test(path) ? path.slice(-1) : "";
    const whole = path.slice(0, path.length - end.length);
    if (SYSTEM_PATHS.test(whole)) return path;
    return `${keep(this.placeholders.for("path", whole))}${end}`;
  }

  /** The longest beginning that is an address: a full stop or a colon may follow it. */
  #ipv6(found: string, keep: (replaced: string) => string): string {
    const zoneAt = found.indexOf("%");
    const plain = zoneAt < 0 ? found : found.slice(0, zoneAt);
    for (let end = plain.length; end > 2; end--) {
      const address = this.address(plain.slice(0, end));
      if (address !== null) return `${keep(address)}${plain.slice(end)}`;
      if (!/[:.]/.test(plain[end - 1] ?? "")) break;
    }
    return found;
  }

  #dotted(found: string, keep: (replaced: string) => string): string {
    const lower = found.toLowerCase();
    const last = lower.slice(lower.lastIndexOf(".") + 1);
    if (FILE_ENDINGS.has(last) || SETTING_STARTS.some((start) => lower.startsWith(start))) return keep(found);
    return keep(this.placeholders.for("host", lower));
  }
}

/** What was kept may hold what was kept before it: a secret inside a URL. */
function expand(text: string, kept: readonly string[]): string {
  let rest = text;
  for (let depth = 0; depth < RULES && rest.includes(OPEN); depth++) {
    rest = rest.replace(/\uE000(\d+)\uE001/g, (_all, index: string) => kept[Number(index)] ?? "");
  }
  return rest.replace(PRIVATE_USE, "");
}
const RULES = 16;

/** `203.000.113.007`, as some devices write it. */
function withoutZeros(address: string): string {
  return address.replace(/(^|\.)0+(?=\d)/g, "$1");
}

/** Port sets are the names of forwards that have none. */
function isTelling(name: string): boolean {
  return name.length >= MIN_NAME_CHARS && /\p{L}/u.test(name.replace(/tcp|udp/g, ""));
}

/** Null: only where it stands in quotes, because it is a word of our own. */
function wholeWord(name: string): RegExp | null {
  if (VOCABULARY.has(name.toLowerCase())) return null;
  const escaped = name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  return new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])`, "giu");
}

/** Private addresses of IPv4, and what is the same on every machine. IPv6 has the machine's own number in it. */
function staysReadable(address: string): boolean {
  const range = classifyAddress(address);
  if (range === "loopback" || range === "unspecified" || range === "multicast") return true;
  if (isIpv6(address) || addressBytes(address)?.length !== IPV4_BYTES) return false;
  return range === "private" || range === "link-local" || range === "metadata";
}

const IPV4_BYTES = 4;

function isKeyLike(token: string): boolean {
  return token.length >= LONG_TOKEN_CHARS || (/\d/.test(token) && /[A-Za-z]/.test(token) && !/^[\d/]+$/.test(token));
}
