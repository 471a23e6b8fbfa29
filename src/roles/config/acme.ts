import { classifyAddress, parseAddress } from "../../wire/address.ts";
import { ANY_HOST, type HostPort, parseHost } from "../../wire/endpoint.ts";
import type { AcmeSettings } from "../control.ts";
import { DEFAULT_DIRECTORY, HTTP_PORT } from "./acme-schema.ts";
import type { Problem } from "./problem.ts";
import type { ConfigFile } from "./schema.ts";

/** Whether a console at `listen` is by HTTPS. */
export function isConsoleTls({ console: section }: ConfigFile, { host }: HostPort): boolean {
  return section?.tls ?? !(host === "localhost" || classifyAddress(host) === "loopback");
}

/** What is wrong with `[acme]` and with HTTPS of `[console]`, beside the form of their keys. */
export function httpsProblems(file: ConfigFile): Problem[] {
  const listen = file.console?.listen;
  return [...acmeProblems(file), ...(listen === undefined ? [] : plainProblems(file, listen))];
}

/** What needs HTTPS, at a console that has none. */
export function plainProblems(file: ConfigFile, listen: HostPort): Problem[] {
  if (isConsoleTls(file, listen)) return [];
  const how = file.console?.tls === false ? "set tls = true there, or remove it" : "on loopback it takes tls = true";
  const lacking = `is for HTTPS, and [console] is plain HTTP: ${how}`;
  return [
    ...(file.acme === undefined ? [] : [{ path: ["acme"], message: lacking }]),
    ...(file.console?.hsts === undefined ? [] : [{ path: ["console", "hsts"], message: lacking }]),
  ];
}

function acmeProblems(file: ConfigFile): Problem[] {
  const { acme, console: pages } = file;
  if (acme === undefined) return [];
  const problems: Problem[] = [];
  const add = (path: readonly PropertyKey[], message: string) => problems.push({ path: ["acme", ...path], message });
  if (acme["accept-terms"] !== true) {
    const terms = acme.directory === undefined ? " (https://letsencrypt.org/repository/)" : "";
    add(["accept-terms"], `must be true: read the terms of service of the CA first${terms}`);
  }
  for (const [index, host] of (acme.hosts ?? []).entries()) {
    if (isAddress(host)) add(["hosts", index], "must be a name: this asks for no certificates of addresses");
    else if (acme.directory === undefined && !host.includes(".")) {
      add(["hosts", index], "must be a public name with a dot, such as console.example.com");
    }
  }
  if (acme.hosts === undefined && acmeHosts(file).length === 0) {
    add(["hosts"], 'is missing: write the names of the console, such as hosts = ["console.example.com"]');
  }
  if (pages?.certificate !== undefined) {
    add([], "The console has [console] certificate and [acme]: remove one of the two.");
  }
  return problems;
}

/** `[acme]` with its defaults, when it has no problems. `beside`: the path of a file that the config names. */
export function acmeSettings(file: ConfigFile, beside: (path: string) => string): AcmeSettings | null {
  const { acme, names } = file;
  if (acme === undefined) return null;
  // One program has port 80: where sites have it, the console's names are proven by them.
  const usual = names?.http?.port === HTTP_PORT ? names.http : { host: ANY_HOST, port: HTTP_PORT };
  return {
    hosts: acmeHosts(file),
    email: acme.email ?? null,
    directory: acme.directory ?? DEFAULT_DIRECTORY,
    ca: acme.ca === undefined ? null : beside(acme.ca),
    listen: acme.listen ?? usual,
  };
}

function acmeHosts({ acme, console: pages, relay }: ConfigFile): readonly string[] {
  if (acme?.hosts !== undefined) return [...new Set(acme.hosts)];
  const named = (pages?.hosts ?? []).filter((host) => !isAddress(host));
  if (named.length > 0) return [...new Set(named)];
  const name = parseHost(relay?.public ?? "");
  return name.ok && !isAddress(name.value) ? [name.value] : [];
}

function isAddress(host: string): boolean {
  return parseAddress(host).ok;
}
