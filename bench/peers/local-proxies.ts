import { join } from "node:path";
import { ADDRESS } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { askVersion, type DirectPeer, type Forward } from "./peer.ts";

/** Two descriptors each, and a descriptor limit of 20,000 is the least that this bench is run with. */
const CONNECTIONS = 9_000;
const SOCAT_BUFFER_BYTES = 65_536;
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

async function write(site: Site, name: string, text: string): Promise<string> {
  const file = join(site.directory, name);
  await Bun.write(file, text);
  return file;
}

const target = (forward: Forward) => `${ADDRESS.agent}:${forward.servicePort}`;

/** In its default shape: one thread per processor. */
export const haproxy: DirectPeer = {
  name: "HAProxy",
  type: "direct",
  encryption: null,
  protocols: ["tcp"],
  version: () => askVersion("haproxy", ["-v"], /version ([^ ]+)/),
  async startRelay(site, forwards) {
    const timeouts = "timeout connect 5s\n timeout client 60s\n timeout server 60s";
    const listeners = forwards.map(
      (forward) => `listen ${forward.name}\n bind :${forward.entryPort}\n server s ${target(forward)}`,
    );
    const head = `global\n maxconn ${CONNECTIONS}\ndefaults\n mode tcp\n maxconn ${CONNECTIONS}\n ${timeouts}`;
    await site.start("relay", [
      "haproxy",
      "-db",
      "-f",
      await write(site, "haproxy.cfg", `${[head, ...listeners].join("\n")}\n`),
    ]);
  },
};

/** With Debian's settings: one worker per processor. */
export const nginx: DirectPeer = {
  name: "nginx stream",
  type: "direct",
  encryption: null,
  protocols: ["tcp", "udp"],
  version: () => askVersion("nginx", ["-v"], /nginx\/(\S+)/),
  async startRelay(site, forwards) {
    const servers = forwards.map((forward) => {
      const udp = forward.protocol === "udp" ? " udp" : "";
      return `server { listen ${forward.entryPort}${udp}; proxy_pass ${target(forward)}; }`;
    });
    const settings = [
      `load_module ${STREAM_MODULE};`,
      "daemon off; worker_processes auto;",
      `pid ${join(site.directory, "nginx.pid")};`,
      "error_log stderr crit;",
      `worker_rlimit_nofile ${CONNECTIONS};`,
      `events { worker_connections ${CONNECTIONS}; }`,
      `stream { ${servers.join(" ")} }`,
    ];
    await site.start("relay", ["nginx", "-e", "stderr", "-c", await write(site, "nginx.conf", settings.join("\n"))]);
  },
};

/**
 * A process per connection: what people reach for first. With a larger buffer than its default of 8 KiB, which would
 * cost it most of its speed. Not for UDP: its processes mix up flows that begin at the same time.
 */
export const socat: DirectPeer = {
  name: "socat",
  type: "direct",
  encryption: null,
  protocols: ["tcp"],
  version: () => askVersion("socat", ["-V"], /socat version (\S+)/),
  async startRelay(site, forwards) {
    for (const forward of forwards) {
      const listen = `TCP-LISTEN:${forward.entryPort},fork,reuseaddr,backlog=1024`;
      await site.start("relay", ["socat", `-b${SOCAT_BUFFER_BYTES}`, listen, `TCP:${target(forward)}`]);
    }
  },
};
