import type { CertificateSource } from "../certificate/source.ts";
import type { RelaySettings } from "../control.ts";

export interface SettingsChange {
  /** What holds from now on: keys that need a restart are as they were. */
  readonly settings: RelaySettings;
  /** Keys of the config. */
  readonly changed: readonly string[];
  readonly needRestart: readonly string[];
}

/** What a reload makes of settings that were read again. */
export function changeSettings(now: RelaySettings, next: RelaySettings): SettingsChange {
  const changed: string[] = [];
  const needRestart: string[] = [];
  if (!Bun.deepEquals(next.listen, now.listen)) needRestart.push("relay.listen");
  for (const key of ["publicHost", "ports", "allow", "stun"] as const) {
    if (!Bun.deepEquals(next[key], now[key])) changed.push(`relay.${key === "publicHost" ? "public" : key}`);
  }
  if (!Bun.deepEquals(next.certificate, now.certificate)) needRestart.push("relay.certificate");
  if (next.clientCa !== now.clientCa) needRestart.push("relay.client-ca");
  const { listen: page, ...check } = now.check;
  const { listen: nextPage, ...nextCheck } = next.check;
  if (!Bun.deepEquals(nextPage, page)) needRestart.push("check.listen");
  if (!Bun.deepEquals(nextCheck, check)) changed.push("check");
  for (const table of ["console", "metrics"] as const) {
    if (!Bun.deepEquals(next[table], now[table])) needRestart.push(table);
  }
  const { listen, console, metrics } = now;
  return {
    settings: { ...next, listen, check: { ...next.check, listen: page }, console, metrics },
    changed,
    needRestart,
  };
}

/** Looks at certificates, by their keys of the config: those that were renewed, and sentences about those that were refused. */
export async function lookAtCertificates(certificates: ReadonlyMap<string, CertificateSource>) {
  const renewed: string[] = [];
  const refused: string[] = [];
  for (const [key, source] of certificates) {
    const looked = await source.look();
    if (looked.kind === "renewed") renewed.push(key);
    if (looked.kind === "refused") refused.push(looked.message);
  }
  return { renewed, refused };
}
