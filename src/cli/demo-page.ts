/** The page of `npm start`: small, complete, and asks nothing of the internet. */
export interface DemoNumbers {
  readonly visitorsTotal: number;
  readonly bytesOut: number;
  readonly rttMs: number | null;
  readonly carriers: number;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #16202a; --paper: #fbfaf7; --line: #d8d4ca; --accent: #0b6e5d; --soft: #eef3f0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e0; --paper: #14181b; --line: #333b40; --accent: #5fd0b8; --soft: #1c2427; } }
* { box-sizing: border-box; }
body { margin: 0; font: 17px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
main { max-width: 44rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
ol.path { list-style: none; margin: 1.5rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
ol.path li { border: 1px solid var(--line); background: var(--soft); border-radius: .5rem; padding: .4rem .75rem; }
ol.path li + li::before { content: "→"; margin-left: -1.35rem; margin-right: .75rem; color: var(--accent); }
ol.path li + li { margin-left: .9rem; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1.2rem; margin: 0; }
dt { opacity: .75; } dd { margin: 0; font-variant-numeric: tabular-nums; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; overflow-x: auto; }
code { font: .92em/1.5 ui-monospace, monospace; }
`;

const SCRIPT = `
const show = (id, text) => { document.getElementById(id).textContent = text; };
const refresh = async () => {
  try {
    const now = await (await fetch("numbers", { cache: "no-store" })).json();
    show("visitors", now.visitorsTotal);
    show("bytes", now.bytesOut.toLocaleString() + " bytes");
    show("rtt", now.rttMs === null ? "not known yet" : now.rttMs.toFixed(1) + " ms");
    show("carriers", now.carriers);
    show("state", "up");
  } catch { show("state", "no answer: has the program been stopped?"); }
};
refresh();
setInterval(refresh, 2000);
`;

function page(relayHost: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hatchway works</title><link rel="stylesheet" href="page.css"><script src="page.js" defer></script></head>
<body><main>
<h1>This page came through the tunnel.</h1>
<p>It is served by a small web server that listens on loopback only. Your browser reached the relay's public port, and the relay passed the connection to an agent, which dialled the page.</p>
<ol class="path" aria-label="The way your request took"><li>your browser</li><li>relay</li><li>agent, over TLS 1.3</li><li>this page</li></ol>
<h2>Now</h2>
<dl aria-live="polite"><dt>tunnel</dt><dd id="state">…</dd><dt>visitors so far</dt><dd id="visitors">…</dd><dt>sent to visitors</dt><dd id="bytes">…</dd><dt>round trip relay – agent</dt><dd id="rtt">…</dd><dt>carriers</dt><dd id="carriers">…</dd></dl>
<h2>Next: a port of your own</h2>
<p>On the public machine, beside this relay:</p>
<pre><code>bin/hatchway join-code create --name den --data data</code></pre>
<p>On the machine behind NAT, with the code it prints:</p>
<pre><code>bin/hatchway agent --join CODE
bin/hatchway expose 25565</code></pre>
<p>Visitors then reach that port at <code>${relayHost}</code>.</p>
</main></body></html>`;
}

const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/** Serves the page on a free port of loopback. `relayHost` is a checked host name or address. */
export function serveDemoPage(relayHost: string, numbers: () => Promise<DemoNumbers>) {
  const text = (type: string, body: string) =>
    new Response(body, { headers: { ...SECURITY_HEADERS, "content-type": `${type}; charset=utf-8` } });
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/": () => text("text/html", page(relayHost)),
      "/page.css": () => text("text/css", STYLE),
      "/page.js": () => text("text/javascript", SCRIPT),
      "/numbers": async () => Response.json(await numbers(), { headers: SECURITY_HEADERS }),
    },
    fetch: () => new Response("There is no such page here.\n", { status: 404, headers: SECURITY_HEADERS }),
  });
}
