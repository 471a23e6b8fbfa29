import type { NameProof } from "../../core/acme/steps.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
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
  /** Lets another process listen at that port too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean;
  /** Listens there no more. Resolves when what is under way has ended. */
  retire(): Promise<void>;
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
  /** With other processes of this program; absent = it shares its port with none. */
  readonly sharing?: PortSharing;
  /** Ends an order that is under way. */
  readonly signal: AbortSignal;
}

export interface OpenAcme extends Pick<ProofPlace, "port" | "setShared" | "retire"> {
  readonly certificate: AcmeCertificate;
  close(): Promise<void>;
}

/** Opens where names are proven, and orders what is due from then on. Rejects with ControlError. */
export async function openAcme(options: OpenAcmeOptions): Promise<OpenAcme> {
  const { settings, dataDir, fallback, sweeper, signal } = options;
  const ca = settings.ca === null ? null : await readPem(settings.ca);
  const place = options.place ?? ownPlace(options);
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
  return {
    port: place.port,
    certificate,
    setShared: (shared) => place.setShared(shared),
    retire: () => place.retire(),
    close,
  };
}

/** Throws ControlError. */
function ownPlace({ settings: { listen }, homeUrl, sharing }: OpenAcmeOptions): ProofPlace {
  const challenges = serveChallenges({
    bind: listen.host,
    port: listen.port,
    homeUrl,
    ...(sharing === undefined ? {} : { sharing }),
  });
  if (!challenges.ok) throw new ControlError("failed", `[acme] ${challenges.error.message}`);
  const server = challenges.value;
  let isShared = false;
  return {
    port: server.port,
    ways: ["http-01"],
    publish: async ({ token, keyAuthorization }) => server.publish(token, keyAuthorization),
    // Else the CA would ask another process, which knows nothing of the token.
    canProve: () => !isShared,
    setShared(shared) {
      isShared = shared;
      return server.setShared(shared);
    },
    retire: () => server.retire(),
    close: () => server.close(),
  };
}
