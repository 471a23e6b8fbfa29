import { isLoopback } from "../../servers/loopback.ts";
import { parseHostPort } from "../../wire/endpoint.ts";
import { z } from "../../wire/zod.ts";
import type { MetricsSettings } from "../metrics/settings.ts";
import { parsed } from "./fields.ts";
import type { Problem } from "./problem.ts";

/** The port that OpenTelemetry's own exporter for Prometheus listens at: whoever runs collectors knows it. */
const DEFAULT_LISTEN = { host: "127.0.0.1", port: 9_464 } as const;

export const metricsSection = z.strictObject({
  listen: z
    .string()
    .transform(
      parsed((text) =>
        parseHostPort(text, {
          defaultPort: DEFAULT_LISTEN.port,
          defaultHost: DEFAULT_LISTEN.host,
          allowPortZero: true,
        }),
      ),
    )
    .meta({ description: "HOST:PORT where Prometheus finds /metrics; default 127.0.0.1:9464." })
    .exactOptional(),
  "token-file": z
    .string()
    .min(1)
    .meta({ description: "A file with the token that a scrape must send; needed beyond loopback." })
    .exactOptional(),
});
export type MetricsSection = z.infer<typeof metricsSection>;

export function metricsProblem(section: MetricsSection | undefined): Problem | null {
  if (section?.listen === undefined || section["token-file"] !== undefined || isLoopback(section.listen.host)) {
    return null;
  }
  const message = "needs token-file: other machines reach it, so they must show a token";
  return { path: ["metrics", "listen"], message };
}

/** `[metrics]` with its defaults; null = there is none. `beside` makes a path absolute, as the config file has it. */
export function metricsSettings(
  section: MetricsSection | undefined,
  beside: (path: string) => string,
): MetricsSettings | null {
  if (section === undefined) return null;
  const tokenFile = section["token-file"];
  return {
    listen: section.listen ?? DEFAULT_LISTEN,
    tokenFile: tokenFile === undefined ? null : beside(tokenFile),
  };
}
