import type { HostPort } from "../../wire/endpoint.ts";

/** `[metrics]`: a listener that answers scrapes. */
export interface MetricsSettings {
  /** Port 0 asks for any free one (tests). */
  readonly listen: HostPort;
  /** Path; null = no token, on a loopback address only. */
  readonly tokenFile: string | null;
}
