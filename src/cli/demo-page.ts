/** The page of `npm start`: small, complete, and asks nothing of the internet. */
export interface DemoNumbers {
  readonly visitorsTotal: number;
  readonly bytesOut: number;
  readonly rttMs: number | null;
  readonly carriers: number;
}

/** What the page's commands name. */
export interface DemoPlace {
  readonly relayHost: string;
  readonly dataDir: string;
  /** As people type it here: `bin/hatchway` in a clone. */
  readonly program: string;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #16202a; --quiet: #55616b; --paper: #fbfaf7; --line: #d8d4ca; --accent: #0b6e5d; --soft: #eef3f0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e0; --quiet: #a3adb3; --paper: #14181b; --line: #333b40; --accent: #5fd0b8; --soft: #1c2427; } }
* { box-sizing: border-box; }
body { margin: 0; font: 17px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .6rem 0; }
ol { list-style: none; margin: 1.5rem 0; padding: 0; display: flex; align-items: center; }
.stop { border: 1px solid var(--line); background: var(--soft); border-radius: .5rem; padding: .4rem .75rem; white-space: nowrap; }
.hop { flex: 1; min-width: 4.5rem; padding: 0 .35rem 1.2em; text-align: center; color: var(--quiet); font-size: .8rem; line-height: 1.2; }
.hop::after { content: ""; display: block; margin-top: .1rem; border-top: 2px solid var(--accent); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1.2rem; margin: 0; }
dt { color: var(--quiet); } dd { margin: 0; font-variant-numeric: tabular-nums; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; margin: .4rem 0; padding: .7rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
code { font: .92em/1.5 ui-monospace, monospace; }
@media (max-width: 36rem) {
  ol { flex-direction: column; align-items: stretch; }
  .stop { text-align: center; }
  .hop { margin: .2rem 0 .2rem 50%; padding: .2rem .6rem; border-left: 2px solid var(--accent); text-align: left; }
  .hop::after { display: none; }
}
`;

const SCRIPT = `
const show = (id, text) => { document.getElementById(id).textContent = text; };
const refresh = async () => {
  try {
    const now = await (await fetch("numbers", { cache: "no-store" })).json();
    show("visitors", now.visitorsTotal);
    show("bytes", (now.bytesOut / 1000).toFixed(1) + " kB");
    show("rtt", now.rttMs === null ? "not known yet" : now.rttMs.toFixed(1) + " ms");
    show("carriers", now.carriers);
    show("state", "up");
  } catch { show("state", "no answer: has the program been stopped?"); }
};
refresh();
setInterval(refresh, 2000);
`;

function page({ relayHost, dataDir, program }: DemoPlace): string {
  const host = Bun.escapeHTML(relayHost);
  const data = Bun.escapeHTML(dataDir);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hatchway works</title><link rel="stylesheet" href="page.css"><script src="page.js" defer></script></head>
<body><main>
<h1>This page came through the tunnel.</h1>
<p>Its web server listens on loopback only. Your browser reached a public port of the relay; the relay handed the connection to an agent over its encrypted link, and the agent connected to the web server.</p>
<ol aria-label="The way your request took"><li class="stop">your browser</li><li class="hop">TCP</li><li class="stop">relay</li><li class="hop">TLS 1.3</li><li class="stop">agent</li><li class="hop">loopback</li><li class="stop">this page</li></ol>
<h2>Now</h2>
<dl><dt>tunnel</dt><dd id="state">…</dd><dt>visitors so far</dt><dd id="visitors">…</dd><dt>sent to visitors</dt><dd id="bytes">…</dd><dt>round trip to the agent</dt><dd id="rtt">…</dd><dt>TLS connections to it</dt><dd id="carriers">…</dd></dl>
<h2>Next: a port of your own</h2>
<p>Beside this relay, make a code for the other machine:</p>
<pre><code>${program} join-code create --name den --data ${data}</code></pre>
<p>On that machine, start an agent with the code, and leave it running:</p>
<pre><code>${program} agent --join CODE</code></pre>
<p>There too, in another terminal, make a port public:</p>
<pre><code>${program} expose 25565</code></pre>
<p>Visitors reach it at <code>${host}</code>, port 25565, until you press Ctrl-C.</p>
</main></body></html>`;
}

const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/** Serves the page on a free port of loopback. */
export function serveDemoPage(place: DemoPlace, numbers: () => Promise<DemoNumbers>) {
  const text = (type: string, body: string) =>
    new Response(body, { headers: { ...SECURITY_HEADERS, "content-type": `${type}; charset=utf-8` } });
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/": () => text("text/html", page(place)),
      "/page.css": () => text("text/css", STYLE),
      "/page.js": () => text("text/javascript", SCRIPT),
      "/numbers": async () => Response.json(await numbers(), { headers: SECURITY_HEADERS }),
    },
    fetch: () => new Response("There is no such page here.\n", { status: 404, headers: SECURITY_HEADERS }),
  });
}
