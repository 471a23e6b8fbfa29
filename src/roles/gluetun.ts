import type { OpenForwards, OwnerFilter } from "../core/open-ports.ts";
import { areaLogger, type Logger } from "../os/log.ts";
import { PortFile } from "../servers/gluetun/port-file.ts";
import { serveGluetun } from "../servers/gluetun/server.ts";
import { ControlError } from "../servers/local/control.ts";
import { ok } from "../wire/result.ts";
import { readKeyFile } from "./hooks/key-file.ts";

export interface GluetunListen {
  readonly bind: string;
  readonly port: number;
  /** Names that clients call it by, in lower case; addresses and `localhost` need not be said. */
  readonly hosts: readonly string[];
}

/** What scripts made for gluetun find here. */
export interface GluetunSettings {
  /** The control server; null = none. Beyond loopback it needs a key. */
  readonly listen: GluetunListen | null;
  readonly keyFile: string | null;
  /** The file with the ports; null = none. */
  readonly statusFile: string | null;
  /** Whose ports are shown. */
  readonly owner: OwnerFilter;
}

export interface Gluetun {
  /** Of the control server; null = none. */
  readonly port: number | null;
  /** The file with the ports; null = none. */
  readonly statusFile: string | null;
  /** Gives the server's port free, for one that comes in its place. */
  release(): Promise<void>;
  /** Takes it back. */
  takeBack(): void;
  /** To be called after each event. Returns at once and never throws. */
  changed(): void;
  /** Closes the server and empties the file, unless it goes on in other hands. */
  stop(options?: { readonly keepFile: boolean }): Promise<void>;
}

export interface GluetunOptions {
  readonly settings: GluetunSettings;
  readonly open: OpenForwards;
  /** What runs so far: it is stopped when this one runs, and goes on as it was when this one cannot. */
  readonly replaces?: Gluetun | null;
  readonly logger?: Logger;
}

/** Rejects with ControlError `usage` when the key or the port cannot be had. */
export async function startGluetun({
  settings,
  open,
  replaces = null,
  logger = areaLogger("gluetun"),
}: GluetunOptions): Promise<Gluetun> {
  const { listen, keyFile, statusFile, owner } = settings;
  const ports = () => open.ports(owner);
  const key = keyFile === null ? null : await readKeyFile(keyFile);
  if (key !== null && !key.ok) throw new ControlError("usage", key.error);
  const apiKey = key?.value ?? null;
  const serve = (more: { readonly port?: number } = {}) =>
    listen === null ? ok(null) : serveGluetun({ ...listen, ...more, apiKey, ports });
  let server = serve();
  if (!server.ok && replaces?.port === listen?.port) {
    // The port is its own.
    await replaces?.release();
    server = serve();
    if (!server.ok) replaces?.takeBack();
  }
  if (!server.ok) throw new ControlError("usage", server.error.message);
  await replaces?.stop({ keepFile: replaces.statusFile === statusFile });
  let running = server.value;
  const onError = ({ message, cause }: { readonly message: string; readonly cause?: unknown }) =>
    logger.warning("the status file is not up to date; this is said once until it can be written", { message, cause });
  const file = statusFile === null ? null : new PortFile({ path: statusFile, ports, onError });
  // At once: an earlier run that was killed may have left ports there that are nobody's now.
  file?.update();
  const port = running?.port ?? null;
  const release = async () => {
    const was = running;
    running = null;
    await was?.close();
  };
  return {
    port,
    statusFile,
    release,
    takeBack() {
      const again = serve(port === null ? {} : { port });
      if (again.ok) running = again.value;
      else logger.error("{message}", { message: again.error.message });
    },
    changed: () => file?.update(),
    async stop({ keepFile } = { keepFile: false }) {
      await Promise.all([release(), keepFile ? file?.settled() : file?.close()]);
    },
  };
}
