import { ANY_HOST, type HostPort } from "../../wire/endpoint.ts";
import type { NamesSettings } from "../control.ts";
import { DEFAULT_DIRECTORY } from "./acme-schema.ts";
import type { NamesSection } from "./names-schema.ts";
import type { Problem } from "./problem.ts";
import type { ConfigFile } from "./schema.ts";

const EVERYWHERE: readonly string[] = [ANY_HOST, "0.0.0.0", "::"];

/** What is wrong with `[names]`, beside the form of its keys. */
export function namesProblems({ names, acme, console: pages }: ConfigFile): Problem[] {
  if (names === undefined) return [];
  const problems: Problem[] = [];
  const add = (path: readonly PropertyKey[], message: string) => problems.push({ path: ["names", ...path], message });
  if (names.http === undefined && names.https === undefined) add([], "needs http or https: where visitors come in");
  if ((names.certificate === undefined) !== (names.key === undefined)) {
    add([names.key === undefined ? "certificate" : "key"], "needs the other one: certificate and key go together");
  }
  if (names.certificate !== undefined && names.https === undefined) add(["certificate"], "needs https");
  if (names.acme !== undefined) {
    if (names.acme.challenge === "http-01" && names.http === undefined) {
      add(["acme", "challenge"], "is http-01, which needs http: the CA proves names there");
    }
    if (names.https === undefined) add(["acme"], "needs https: that is what certificates are for");
    if (names.acme["accept-terms"] !== true) {
      const terms = names.acme.directory === undefined ? " (https://letsencrypt.org/repository/)" : "";
      add(["acme", "accept-terms"], `must be true: read the terms of service of the CA first${terms}`);
    }
  }
  const proof = pages === undefined ? undefined : acme?.listen;
  if (proof !== undefined && names.http !== undefined && isInTheWay(proof, names.http)) {
    add(
      ["http"],
      `has the port of [acme] listen (${proof.port}) at another address: leave listen out, or write the same`,
    );
  }
  return problems;
}

/** Two listeners that cannot both be, and are not one. */
function isInTheWay(one: HostPort, other: HostPort): boolean {
  const everywhere = [one.host, other.host].some((host) => EVERYWHERE.includes(host));
  return one.port === other.port && one.host !== other.host && everywhere;
}

/** `[names]` with its defaults; nothing when it is not there. `beside`: the path of a file that the config names. */
export function namesSettings(
  names: NamesSection | undefined,
  beside: (path: string) => string,
): { readonly names?: NamesSettings } {
  if (names === undefined) return {};
  const { certificate, key, acme } = names;
  return {
    names: {
      http: names.http ?? null,
      https: names.https ?? null,
      domains: names.domains ?? [],
      grants: names.grant ?? [],
      certificate:
        certificate === undefined || key === undefined ? null : { certificate: beside(certificate), key: beside(key) },
      acme:
        acme === undefined
          ? null
          : {
              challenge: acme.challenge ?? null,
              email: acme.email ?? null,
              directory: acme.directory ?? DEFAULT_DIRECTORY,
              ca: acme.ca === undefined ? null : beside(acme.ca),
            },
    },
  };
}
