import { createHash } from "node:crypto";
import type { OutsideVerdict } from "../../core/check/outside.ts";
import { UDP_PROBES } from "../../core/check/probes.ts";
import { escaped, sentenceHtml } from "../escape-html.ts";

/** What the page shows. Every text is escaped here. */
export interface CheckPage {
  /** The visitor's, as the relay sees it. */
  readonly address: string;
  /** As they filled it in; null = nothing yet. */
  readonly port: string | null;
  readonly as: string;
  /** The outcome; a text = why there is none. */
  readonly outcome: OutsideVerdict | string | null;
}

const STYLE = `
:root{color-scheme:light dark;--line:#8888;--open:#187a3d;--shut:#b3261e;--dim:#666}
@media(prefers-color-scheme:dark){:root{--open:#5dd68b;--shut:#ff8a80;--dim:#aaa}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:36rem;padding:2rem 1rem;font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:0 0 .5rem}
code{font-size:1.05em;overflow-wrap:anywhere}
form{display:grid;grid-template-columns:1fr 2fr auto;gap:.75rem;align-items:end;margin:1.5rem 0}
label{display:grid;gap:.25rem;min-width:0}
input,select,button{font:inherit;width:100%;min-height:2.75rem;padding:.5rem .75rem;border:1px solid var(--line);border-radius:.4rem}
button{cursor:pointer}
section{border:1px solid var(--line);border-left:.4rem solid var(--dim);border-radius:.4rem;padding:.75rem 1rem}
section p{margin:.25rem 0}
section.open{border-left-color:var(--open)}
section.closed,section.filtered{border-left-color:var(--shut)}
small{color:var(--dim)}
@media(max-width:30rem){form{grid-template-columns:1fr}}
`;
const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** Nothing but the page's own style is loaded, and the form goes nowhere else. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * The form brings its own padding, so that whoever has a browser never makes the relay send more than they sent: QUIC's
 * datagram of 1,200 bytes three times is the most (core/check/service-rules.ts).
 */
const PADDING = ".".repeat(4_096);

const STATE_WORDS: Readonly<Record<OutsideVerdict["state"], string>> = {
  open: "Open",
  closed: "Closed",
  filtered: "Filtered",
  unknown: "Not known",
};

export function renderPage({ address, port, as, outcome }: CheckPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Port check</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Port check</h1>
<p>Your address is <code>${escaped(address)}</code>. Is one of its ports open to the internet?</p>
<form method="post">
<label>Port<input name="port" type="number" min="1" max="65535" required inputmode="numeric" value="${escaped(port ?? "")}"${port === null ? " autofocus" : ""}></label>
<label>Service<select name="as">${options(as)}</select></label>
<button>Check</button>
<input type="hidden" name="pad" value="${PADDING}">
</form>
${outcomeHtml(outcome)}
<p><small>Only the address that you come from is looked at, when you press the button and not before, and nothing is kept.
Behind a company's network or a mobile one, that address is shared with others.</small></p>
</main>
</body>
</html>
`;
}

function options(chosen: string): string {
  const rows = [
    ["tcp", "TCP: any service"],
    ["udp", "UDP: what is usual at that port"],
    ...UDP_PROBES.map(({ id, service }) => [id, `UDP: ${service}`] as const),
  ] as const;
  return rows
    .map(
      ([id, label]) => `<option value="${escaped(id)}"${id === chosen ? " selected" : ""}>${escaped(label)}</option>`,
    )
    .join("");
}

function outcomeHtml(outcome: CheckPage["outcome"]): string {
  if (outcome === null) return "";
  if (typeof outcome === "string") return `<section role="status"><p>${sentenceHtml(outcome)}</p></section>`;
  const { state, sentence, remedy } = outcome;
  return `<section class="${state}" role="status"><p><strong>${STATE_WORDS[state]}</strong></p><p>${sentenceHtml(sentence)}</p>${
    remedy === null ? "" : `<p>${sentenceHtml(remedy)}</p>`
  }</section>`;
}
