import type { SiteSpec } from "../../core/forward.ts";
import type { EntryHost } from "../../dataplanes/io/entry.ts";
import { wildcardOf } from "../../wire/site-name.ts";

/** A forward that is reached by name. */
export interface Site {
  readonly spec: SiteSpec;
  /** Its admission, its visits, and the way to its service. */
  readonly host: EntryHost;
  /** What its device calls the port that visitors come by. */
  readonly externalPort: number;
}

/** The sites of a relay, by name. */
export class Sites {
  readonly #byName = new Map<string, Site>();

  add(site: Site): void {
    for (const host of site.spec.hosts) this.#byName.set(host, site);
  }

  remove(site: Site): void {
    for (const host of site.spec.hosts) if (this.#byName.get(host) === site) this.#byName.delete(host);
  }

  /** `name`: in canonical form. A name of its own goes before a wildcard. */
  find(name: string): Site | null {
    return this.#byName.get(name) ?? this.#byName.get(wildcardOf(name)) ?? null;
  }

  /** The names, not the wildcards, of all sites whose TLS the relay ends. */
  ended(): readonly string[] {
    return [...this.#byName]
      .filter(([host, { spec }]) => spec.tls === "end" && !host.startsWith("*"))
      .map(([host]) => host);
  }
}
