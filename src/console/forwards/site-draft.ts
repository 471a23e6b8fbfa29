import type { Forward, ForwardDraft, ForwardPatch, Site, SiteOffer } from "../../servers/api/schema.ts";
import { parseSitePattern } from "../../wire/site-name.ts";

type Tls = NonNullable<ForwardDraft["tls"]>;

/** Who may come in, as it is typed. */
export interface LoginFields {
  readonly user: string;
  /** Empty, of somebody who has one: it stays. */
  readonly password: string;
  /** The server has a password of theirs, which it tells nobody. */
  readonly kept: boolean;
}

/** What a site has in place of ports, as its form holds it. */
export interface SiteFields {
  /** Names, separated by commas or white space. */
  readonly names: string;
  /** Of the service. */
  readonly port: string;
  readonly tls: Tls;
  readonly http2: boolean;
  readonly logins: readonly LoginFields[];
}

/** As most sites are, as far as the relay has what they take. */
export function emptySite(offer: SiteOffer): SiteFields {
  return { names: "", port: "", tls: offer.https === null ? "off" : "end", http2: false, logins: [] };
}

export function siteFieldsOf({ site, ports }: Pick<Forward, "site" | "ports">): SiteFields | null {
  if (site === null) return null;
  return {
    names: site.hosts.join(", "),
    port: ports,
    tls: site.tls,
    http2: site.http2,
    logins: site.users.map((user) => ({ user, password: "", kept: true })),
  };
}

/** What is written, name by name: in the one form that names have, or what is wrong with the first that is none. */
export function readNames(text: string): { readonly names: readonly string[]; readonly fault: string | null } {
  const names: string[] = [];
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const parsed = parseSitePattern(word);
    if (!parsed.ok) return { names, fault: parsed.error.message };
    if (!names.includes(parsed.value)) names.push(parsed.value);
  }
  return { names, fault: null };
}

export type SiteFaults = Partial<Record<"host" | "ports" | "logins", string>>;

/** Why it cannot be saved as it is, by field; empty = it can. */
export function siteFaults({ names, port, tls, logins }: SiteFields): SiteFaults {
  const read = readNames(names);
  const host = read.fault ?? (read.names.length === 0 ? "Write the site's name, for example app.example.org." : null);
  const isPort = /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535;
  const lacking = tls === "pass" ? undefined : logins.find(({ password, kept }) => password === "" && !kept);
  const nameless = tls !== "pass" && logins.some(({ user }) => user.trim() === "");
  return {
    ...(host === null ? {} : { host }),
    ...(isPort ? {} : { ports: "Write the service's port, for example 8080." }),
    ...(nameless ? { logins: "Write a user name for each, or take the line away." } : {}),
    ...(lacking === undefined || nameless ? {} : { logins: `Write a password for ${lacking.user}.` }),
  };
}

export function siteDraft({
  names,
  port,
  tls,
  http2,
  logins,
}: SiteFields): Pick<ForwardDraft, "ports" | "host" | "tls" | "http2" | "logins"> {
  // Whoever keeps a password is in no draft: it is for the server alone.
  const given = logins
    .filter(({ password }) => password !== "")
    .map(({ user, password }) => ({ user: user.trim(), password }));
  return {
    ports: port.trim(),
    host: [...readNames(names).names],
    tls,
    ...(http2 && tls === "end" ? { http2 } : {}),
    ...(given.length === 0 || tls === "pass" ? {} : { logins: given }),
  };
}

/** Only what a person changed. */
export function sitePatch(
  before: SiteFields,
  after: SiteFields,
): Pick<ForwardPatch, "ports" | "host" | "tls" | "http2" | "logins"> {
  const names = [before, after].map(({ names: text }) => readNames(text).names);
  const http2 = after.http2 && after.tls === "end";
  // Where TLS is passed through nobody can be asked.
  const logins = after.tls === "pass" ? [] : after.logins;
  return {
    ...(before.port === after.port ? {} : { ports: after.port.trim() }),
    ...(String(names[0]) === String(names[1]) ? {} : { host: [...(names[1] ?? [])] }),
    ...(before.tls === after.tls ? {} : { tls: after.tls }),
    ...(before.http2 === http2 ? {} : { http2 }),
    ...(isSame(before.logins, logins) ? {} : { logins: logins.map(loginPatch) }),
  };
}

function loginPatch({ user, password }: LoginFields) {
  return password === "" ? { user: user.trim() } : { user: user.trim(), password };
}

function isSame(before: readonly LoginFields[], after: readonly LoginFields[]): boolean {
  return (
    before.length === after.length &&
    after.every(({ user, password }, at) => password === "" && user === before[at]?.user)
  );
}

/** As visitors type it. */
export function urlOf(name: string, { tls }: Pick<SiteFields, "tls">, { http, https }: SiteOffer): string {
  const isPlain = tls === "off";
  const port = isPlain ? http : https;
  const isUsual = port === null || port === (isPlain ? 80 : 443);
  return `${isPlain ? "http" : "https"}://${name}${isUsual ? "" : `:${port}`}`;
}

/** How visitors of a site are treated, in a few words. */
export function siteWords({ tls, http2, users }: Site): string {
  const ways = { end: "TLS by the relay", pass: "TLS by the service", off: "plain HTTP" } as const;
  return [ways[tls], ...(http2 ? ["HTTP/2"] : []), ...(users.length > 0 ? ["with a password"] : [])].join(", ");
}

/** What visitors type: the names of a site, else the ports. */
export function openedText({ site, ports }: Pick<Forward, "site" | "ports">): string {
  return site === null ? ports : site.hosts.join(", ");
}
