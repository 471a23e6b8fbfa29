import type { NameProof } from "../../core/acme/steps.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { nowMs } from "../../os/clock.ts";
import { areaLogger } from "../../os/log.ts";
import { serveChallenges } from "../../servers/acme/challenges.ts";
import type { ChallengeType } from "../../wire/acme/messages.ts";
import type { CertificateSource } from "../certificate/source.ts";
import { readPem } from "../certificates.ts";
import { type AcmeSettings, ControlError } from "../control.ts";
import { pause } from "../pause.ts";
import { AcmeCertificate } from "./certificate.ts";

/** Where the names are proven. */
export interface ProofPlace {
  /** Null = it has none of its own. */
  readonly port: number | null;
  /** The best first. */
  readonly ways: readonly ChallengeType[];
  /** See AcmeCertificateOptions. */
  publish(proof: NameProof): Promise<() => void>;
  canProve(): boolean;
  close(): Promise<void>;
}

export interface OpenAcmeOptions {
  readonly settings: AcmeSettings;
  readonly dataDir: string;
  /** Shown until there is a certificate. */
  readonly fallback: CertificateSource;
  /** Null = at a port of its own, `[acme] listen`. */
  readonly place: ProofPlace | null;
  /** Where people are sent who come there by plain HTTP. */
  homeUrl(): string;
  readonly sweeper: Pick<Sweeper, "add">;
  /** Ends an order that is under way. */
  readonly signal: AbortSignal;
}

export interface OpenAcme extends Pick<ProofPlace, "port"> {
  readonly certificate: AcmeCertificate;
  close(): Promise<void>;
}

/** Opens where names are proven, and orders what is due from then on. Rejects with ControlError. */
export async function openAcme(options: OpenAcmeOptions): Promise<OpenAcme> {
  const { settings, dataDir, fallback, sweeper, signal } = options;
  const ca = settings.ca === null ? null : await readPem(settings.ca);
  const place = options.place ?? ownPlace(settings, options.homeUrl);
  const certificate = await AcmeCertificate.open({
    settings,
    ca,
    dataDir,
    fallback,
    ways: place.ways,
    publish: (proof) => place.publish(proof),
    canProve: () => place.canProve(),
    wallMs: nowMs,
    random: Math.random,
    pause: (ms) => pause(ms, signal),
    log: areaLogger("acme"),
    signal,
  }).catch(async (error: unknown) => {
    await place.close();
    throw error;
  });
  sweeper.add(certificate);
  const close = async () => {
    await certificate.idle();
    await place.close();
  };
  return { port: place.port, certificate, close };
}

/** Throws ControlError. */
function ownPlace({ listen: { host, port } }: AcmeSettings, homeUrl: () => string): ProofPlace {
  const challenges = serveChallenges({ bind: host, port, homeUrl });
  if (!challenges.ok) throw new ControlError("failed", `[acme] ${challenges.error.message}`);
  const server = challenges.value;
  return {
    port: server.port,
    ways: ["http-01"],
    publish: async ({ token, keyAuthorization }) => server.publish(token, keyAuthorization),
    canProve: () => true,
    close: () => server.close(),
  };
}
