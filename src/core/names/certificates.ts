/** What becomes of the certificate of one name whose TLS the relay ends. */
export type SiteCertificate =
  | { readonly kind: "there" }
  /** Asked for, or about to be. */
  | { readonly kind: "ordered" }
  /** `message`: one sentence. `retryAtMs`: Unix time of the next try; null = none is made by itself. */
  | { readonly kind: "failed"; readonly message: string; readonly retryAtMs: number | null };

/** Why visitors are not let in although everything else of a forward is ready. */
export interface Trouble {
  readonly state: "waiting" | "refused";
  /** One sentence, at most MAX_TROUBLE_BYTES of UTF-8. */
  readonly message: string;
}

/** An agent asks for those of its forwards at once, and they go into one frame. */
export const MAX_TROUBLE_BYTES = 400;

/** Of a site with these names: what failed goes before what only takes its time. Null = all are there. */
export function certificateTrouble(
  hosts: readonly string[],
  certificateOf: (host: string) => SiteCertificate,
): Trouble | null {
  let ordered: string | null = null;
  for (const host of hosts) {
    const certificate = certificateOf(host);
    if (certificate.kind === "failed") return { state: "refused", message: failedSentence(certificate) };
    if (certificate.kind === "ordered") ordered ??= host;
  }
  if (ordered === null) return null;
  return { state: "waiting", message: `The certificate for ${ordered} is being ordered: wait a minute.` };
}

function failedSentence({ message, retryAtMs }: Extract<SiteCertificate, { kind: "failed" }>): string {
  if (retryAtMs === null) return clipped(message, "");
  return clipped(message.replace(/\.$/, ""), `; the next try is at ${new Date(retryAtMs).toISOString()}.`);
}

/** `tail` stays whole. */
function clipped(text: string, tail: string): string {
  const most = MAX_TROUBLE_BYTES - tail.length;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= most) return text + tail;
  // A character that is cut in the middle is left out.
  const ellipsis = "…";
  const whole = new TextEncoder().encodeInto(text, new Uint8Array(most - new TextEncoder().encode(ellipsis).length));
  return `${text.slice(0, whole.read)}${ellipsis}${tail}`;
}
