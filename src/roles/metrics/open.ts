import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { HttpListener } from "../../servers/http-listen.ts";
import { ControlError } from "../../servers/local/error.ts";
import { serveMetrics } from "../../servers/metrics/server.ts";
import { readKeyFile } from "../hooks/key-file.ts";
import type { MetricsSettings } from "./settings.ts";

/**
 * Opens `[metrics] listen`; null = there is none. Rejects with ControlError: `usage` when the token cannot be read, `failed`
 * when the port cannot be had. `sharing`: with other processes of this program; absent = with none.
 */
export async function openMetrics(
  settings: MetricsSettings | null,
  text: () => Promise<string>,
  onUnexpected: (error: unknown) => void,
  sharing?: PortSharing,
): Promise<HttpListener | null> {
  if (settings === null) return null;
  const { listen, tokenFile } = settings;
  const token = tokenFile === null ? null : await readKeyFile(tokenFile);
  if (token !== null && !token.ok) throw new ControlError("usage", token.error);
  const server = serveMetrics({
    bind: listen.host,
    port: listen.port,
    token: token?.value ?? null,
    text,
    onUnexpected,
    ...(sharing === undefined ? {} : { sharing }),
  });
  if (server.ok) return server.value;
  throw new ControlError("failed", server.error.message);
}
