import type { OpenForwards, OwnerFilter } from "../core/open-ports.ts";
import { areaLogger, type Logger } from "../os/log.ts";
import { PortFile } from "../servers/gluetun/port-file.ts";
import { serveGluetun } from "../servers/gluetun/server.ts";
import { ControlError } from "../servers/local/control.ts";
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
  /** To be called after each event. Returns at once and never throws. */
  changed(): void;
  /** Closes the server and empties the file. */
  stop(): Promise<void>;
}

export interface GluetunOptions {
  readonly settings: GluetunSettings;
  readonly open: OpenForwards;
  readonly logger?: Logger;
}

/** Rejects with ControlError `usage` when the key or the port cannot be had. */
export async function startGluetun({
  settings,
  open,
  logger = areaLogger("gluetun"),
}: GluetunOptions): Promise<Gluetun> {
  const { listen, keyFile, statusFile, owner } = settings;
  const ports = () => open.ports(owner);
  const key = keyFile === null ? null : await readKeyFile(keyFile);
  if (key !== null && !key.ok) throw new ControlError("usage", key.error);
  const server = listen === null ? null : serveGluetun({ ...listen, apiKey: key?.value ?? null, ports });
  if (server !== null && !server.ok) throw new ControlError("usage", server.error.message);
  const onError = ({ message, cause }: { readonly message: string; readonly cause?: unknown }) =>
    logger.warning("the status file is not up to date; this is said once until it can be written", { message, cause });
  const file = statusFile === null ? null : new PortFile({ path: statusFile, ports, onError });
  // At once: an earlier run that was killed may have left ports there that are nobody's now.
  file?.update();
  return {
    port: server?.value.port ?? null,
    changed: () => file?.update(),
    async stop() {
      await Promise.all([server?.value.close(), file?.close()]);
    },
  };
}
