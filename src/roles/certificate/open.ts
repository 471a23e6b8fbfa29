import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import type { RelayCertificate } from "../../os/certificate.ts";
import type { Logger } from "../../os/log.ts";
import type { CertificateFiles } from "../control.ts";
import { FileCertificate } from "./files.ts";
import { type CertificateSource, fixedCertificate } from "./source.ts";

export interface OpenCertificateOptions {
  readonly sweeper: Pick<Sweeper, "add">;
  wallMs(): number;
  readonly log: Logger;
}

/** A certificate that was loaded from `files` and is watched there; null = one of our making, which stays. `key`: of the config. */
export function openCertificate(
  key: string,
  files: CertificateFiles | null,
  current: RelayCertificate,
  { sweeper, wallMs, log }: OpenCertificateOptions,
): CertificateSource {
  if (files === null) return fixedCertificate(current);
  const source = new FileCertificate({
    files,
    current,
    wallMs,
    onRenewed: ({ notAfterMs }) => log.info("{key} was renewed", { key, until: new Date(notAfterMs).toISOString() }),
    warn: (message) => log.warn("{message}", { message }),
  });
  sweeper.add(source);
  return source;
}
