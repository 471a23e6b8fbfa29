import type { NameProof } from "../../core/acme/steps.ts";
import { nowMs } from "../../os/clock.ts";
import { proofCertificate } from "../../os/proof-certificate.ts";
import type { Proofs } from "../../servers/names/proofs.ts";
import { contextFor } from "./site-certificates.ts";

/** Answers a CA at the ports of sites, from when it resolves until the function that it gives is called. */
export async function publishProof(
  proofs: Proofs,
  { type, name, token, keyAuthorization }: NameProof,
): Promise<() => void> {
  switch (type) {
    case "http-01":
      return proofs.answerToken(token, keyAuthorization);
    case "tls-alpn-01":
      return proofs.showIn(name, contextFor(await proofCertificate(name, keyAuthorization, nowMs())));
    default:
      return type satisfies never;
  }
}
