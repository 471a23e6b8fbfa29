import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { nowMs } from "../../os/clock.ts";
import { areaLogger } from "../../os/log.ts";
import { serveChallenges } from "../../servers/acme/challenges.ts";
import type { CertificateSource } from "../certificate/source.ts";
import { readPem } from "../certificates.ts";
import { type AcmeSettings, ControlError } from "../control.ts";
import { pause } from "../pause.ts";
import { AcmeCertificate } from "./certificate.ts";

export interface OpenAcmeOptions {
  readonly settings: AcmeSettings;
  readonly dataDir: string;
  /** Shown until there is a certificate. */
  readonly fallback: CertificateSource;
  /** Where people are sent who come by plain HTTP. */
  homeUrl(): string;
  readonly sweeper: Pick<Sweeper, "add">;
  /** Ends an order that is under way. */
  readonly signal: AbortSignal;
}

export interface OpenAcme {
  /** Where the names are proven. */
  readonly port: number;
  readonly certificate: AcmeCertificate;
  close(): Promise<void>;
}

/** Opens `[acme] listen`, and orders what is due from then on. Rejects with ControlError. */
export async function openAcme(options: OpenAcmeOptions): Promise<OpenAcme> {
  const { settings, dataDir, fallback, sweeper, signal } = options;
  const { host, port } = settings.listen;
  const ca = settings.ca === null ? null : await readPem(settings.ca);
  const challenges = serveChallenges({ bind: host, port, homeUrl: options.homeUrl });
  if (!challenges.ok) throw new ControlError("failed", `[acme] ${challenges.error.message}`);
  const server = challenges.value;
  const certificate = await AcmeCertificate.open({
    settings,
    ca,
    dataDir,
    fallback,
    ways: ["http-01"],
    publish: async ({ token, keyAuthorization }) => server.publish(token, keyAuthorization),
    wallMs: nowMs,
    random: Math.random,
    pause: (ms) => pause(ms, signal),
    log: areaLogger("acme"),
    signal,
  }).catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  sweeper.add(certificate);
  const close = async () => {
    await certificate.idle();
    await server.close();
  };
  return { port: server.port, certificate, close };
}
