const WORDS: Readonly<Record<string, string>> = {
  unforwarded: "not forwarded",
  sourceNotAllowed: "source not allowed",
  connectionLimit: "connection limit",
  rateLimit: "rate limit",
  insideOnly: "for clients only",
  tunnelEndpoint: "a VPN peer's own address",
  triggerClosed: "trigger closed",
};

/** Why the kernel dropped packets from outside, for people; what is not known here is shown as it is. */
export function dropWords(why: string): string {
  return WORDS[why] ?? why;
}
