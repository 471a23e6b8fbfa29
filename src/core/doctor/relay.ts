import type { AddressClass } from "../../wire/address.ts";
import { type CertificateSight, daysUntil } from "./link.ts";
import { capital, failure, fine, type Judgement, sentenceOf, skipped, warning } from "./model.ts";

export interface RelayRunsFacts {
  /** [relay] is in hatchway.toml, or a relay's certificate in the data directory. */
  readonly isSetUp: boolean;
  /** Null = none runs. */
  readonly running: { readonly listen: string; readonly connected: number; readonly enrolled: number } | null;
}

export function judgeRelayRuns({ isSetUp, running }: RelayRunsFacts): Judgement {
  if (running !== null) {
    const { listen, connected, enrolled } = running;
    return fine(`It listens at ${listen}; ${connected} of ${enrolled} devices are connected.`);
  }
  if (!isSetUp) return skipped("No relay runs or was set up on this machine.");
  return failure("A relay is set up here, and does not run.", "Start it: `hatchway serve`, or its service.");
}

/** What the relay's own agent port shows, dialled on this machine. */
export function judgeRelayPort(sight: CertificateSight, isOwnCertificate: boolean, nowMs: number): Judgement {
  switch (sight.kind) {
    case "broken":
      return failure(
        `An agent could not connect: ${sentenceOf(sight.message)}`,
        "Start the relay again, and look at its log.",
      );
    case "untrusted":
      return failure(
        sentenceOf(capital(sight.message)),
        "Start the relay again; if it stays, see what else listens there.",
      );
    case "trusted":
      return judgeExpiry(daysUntil(sight.notAfterMs, nowMs), isOwnCertificate);
    default:
      return sight satisfies never;
  }
}

const RENEW_DAYS = 30;
const RENEW_SOON_DAYS = 7;

function judgeExpiry(days: number, isOwn: boolean): Judgement {
  const again = isOwn
    ? "Start the relay again: it makes a new one for the same key, and no agent notices."
    : "Renew it, and start the relay again.";
  if (days < 0) return failure("The relay's certificate has expired: no agent connects any more.", again);
  const sentence = `Its certificate is the right one, and good for ${days === 1 ? "1 more day" : `${days} more days`}.`;
  return days < (isOwn ? RENEW_DAYS : RENEW_SOON_DAYS) ? warning(sentence, again) : fine(sentence);
}

export interface PublicAddressFacts {
  readonly publicHost: string;
  /** What it resolves to, each with its kind. */
  readonly addresses: readonly { readonly address: string; readonly range: AddressClass; readonly isOwn: boolean }[];
}

export function judgePublicAddress({ publicHost, addresses }: PublicAddressFacts): Judgement {
  const name = "Name what they reach it by: `public` in [relay], or `hatchway serve --public NAME`.";
  if (addresses.length === 0) {
    return failure(
      `The relay's public name ${publicHost} does not resolve.`,
      "Make its DNS record, or name another one with --public.",
    );
  }
  const hidden = addresses.filter(({ range }) => range !== "public" && range !== "reserved");
  const [first] = hidden;
  if (first !== undefined && hidden.length === addresses.length) {
    const what = first.range === "loopback" ? "which only this machine itself reaches" : `a ${first.range} address`;
    return warning(`Agents and visitors are told ${publicHost}, ${what}: nobody outside comes by it.`, name);
  }
  if (addresses.some(({ isOwn }) => isOwn))
    return fine(`Agents and visitors are told ${publicHost}, which is this machine.`);
  return fine(
    `Agents and visitors are told ${publicHost}, which is no address of this machine itself.`,
    "That is right behind a provider's 1:1 NAT or a router that leads all its ports here; else correct the name.",
  );
}

/** `lowest`: of the pool. `mayOpenLow`: the relay's process may listen below 1024; null = that cannot be told. */
export function judgePool(ports: string, lowest: number, mayOpenLow: boolean | null): Judgement {
  const sentence = `Agents may open ${ports}.`;
  if (lowest >= FIRST_ORDINARY_PORT || mayOpenLow !== false) return fine(sentence);
  return warning(
    `${sentence} The relay's process may not open those below ${FIRST_ORDINARY_PORT}.`,
    "Give its systemd unit AmbientCapabilities=CAP_NET_BIND_SERVICE, or begin the pool at 1024.",
  );
}

const FIRST_ORDINARY_PORT = 1_024;

/** The check page, asked on this machine. `status`: of HTTP; null = no answer. `at` null = the config names none. */
export function judgeCheckPage(at: string | null, status: number | null): Judgement {
  if (at === null) return skipped("There is no check page: [check] names no address.");
  if (status !== null && status < 500) return fine(`The check page answers at ${at}.`);
  return failure(
    `The check page at ${at} ${status === null ? "does not answer" : `answers with HTTP ${status}`}.`,
    "Start the relay again, and see in its log whether something else has the port.",
  );
}
