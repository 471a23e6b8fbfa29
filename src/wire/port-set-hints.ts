import { quoted, type TextError } from "./text-error.ts";

/** `8000-8010:9000-9010/tcp`: first, last, internal first, internal last, protocol. */
export const ITEM = /^([0-9]+)(?:-([0-9]+))?(?::([0-9]+)(?:-([0-9]+))?)?(?:\/(tcp|udp|tcp\+udp|udp\+tcp))?$/i;

const PROTOCOLS = ["tcp", "udp", "tcp+udp"] as const;
const PORTS = "[0-9]+(?:-[0-9]+)?(?::[0-9]+(?:-[0-9]+)?)?";
const NAME = "tcp|udp|tcp\\+udp|udp\\+tcp";

/** A common slip: what it looks like (group 1 = the place, if there is one), what to say, and the item mended. */
interface Slip {
  readonly pattern: RegExp;
  readonly message: string;
  readonly mend: (item: string, match: RegExpExecArray) => string;
}

const SLIPS: readonly Slip[] = [
  {
    pattern: /([\u2010-\u2015\u2212\uff0d~]|\.{2,3})/,
    message: 'Write a range with a hyphen "-".',
    mend: (item) => item.replace(/[\u2010-\u2015\u2212\uff0d~]|\.{2,3}/g, "-"),
  },
  {
    pattern: /([;|&，、；])/,
    message: "Separate ports with a comma.",
    mend: (item) => item.replace(/[;|&，、；]/g, ", "),
  },
  {
    pattern: new RegExp(`^(${NAME})[/:]?${PORTS}$`, "i"),
    message: "Write the protocol after the port.",
    mend: (item, match) => `${item.slice(match[1]?.length).replace(/^[/:]/, "")}/${match[1]?.toLowerCase()}`,
  },
  {
    pattern: new RegExp(`^[0-9]+(?:-[0-9]+)?(/(?:${NAME}))[-:]`, "i"),
    message: "Write the protocol once, at the end.",
    mend: (item, match) => `${item.replace(new RegExp(`/(?:${NAME})`, "gi"), "")}${match[1]?.toLowerCase()}`,
  },
  {
    pattern: /^(?:\*|all|any)$/i,
    message: "Write every port as a range.",
    mend: () => "1-65535",
  },
  {
    pattern: new RegExp(`^${PORTS}[/:-]?([a-z*][a-z+*]*)$`, "i"),
    message: 'The protocol after "/" is tcp, udp or tcp+udp.',
    mend: (item, match) => {
      const word = match[1] ?? "";
      const ports = item.slice(0, item.length - word.length).replace(/[/:-]$/, "");
      return `${ports}/${nearestProtocol(word.toLowerCase()) ?? ""}`;
    },
  },
  {
    pattern: new RegExp(`^${PORTS}(/)$`),
    message: 'Write tcp, udp or tcp+udp after "/".',
    mend: (item) => `${item}tcp`,
  },
];

/** What to say of an item that is not of the form ITEM; `offset` is where it stands in the text. */
export function explainItem(item: string, offset: number): TextError {
  for (const slip of SLIPS) {
    const match = slip.pattern.exec(item);
    if (match === null) continue;
    const place = match[1] ?? match[0];
    // The first group ends the match in every pattern that does not begin with it.
    const at = item.indexOf(place, Math.max(0, match.index));
    const mended = slip.mend(item, match);
    const error = { message: slip.message, offset: offset + at, length: place.length };
    return mended.split(", ").every((part) => ITEM.test(part)) ? { ...error, suggestion: mended } : error;
  }
  const message = `${quoted(item)} is not a port; write ports like 8840, 8810-8815, 80/tcp or 8000:80.`;
  return { message, offset, length: item.length };
}

function nearestProtocol(word: string): string | null {
  if (/^(both|all|any|\*)$/.test(word)) return "tcp+udp";
  const sorted = [...word].sort().join("");
  for (const protocol of PROTOCOLS) {
    if ([...protocol].sort().join("") === sorted || oneEditApart(word, protocol)) return protocol;
  }
  return null;
}

/** One letter added, left out or replaced. */
function oneEditApart(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (long.length - short.length > 1) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at++;
  return short.slice(short.length === long.length ? at + 1 : at) === long.slice(at + 1);
}
