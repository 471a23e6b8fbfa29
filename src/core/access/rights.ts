/**
 * Who may do what. One table; the API, the console and the live events ask it and have no rules of their own. Whose object it
 * is comes on top: an administrator has to do with every account's, everybody else with their own account's (`seesAll`).
 */

/** From the most to the least. */
export const ROLES = ["admin", "user", "viewer"] as const;
export type AccessRole = (typeof ROLES)[number];

/** Of a token, from the least to the most; each includes those before it. */
export const SCOPES = ["read", "forwards", "all"] as const;
export type AccessScope = (typeof SCOPES)[number];

export interface Demand {
  /** This role, and those above it. */
  readonly role: AccessRole;
  /**
   * This scope, and those above it. `person`: no token at all. What opens a door for somebody is for people alone: a token that
   * leaked must not make credentials that outlive its own removal.
   */
  readonly scope: AccessScope | "person";
}

const DEMANDS = {
  /** Forwards, devices, live connections, who one is. */
  read: { role: "viewer", scope: "read" },
  "forwards.change": { role: "user", scope: "forwards" },
  /** Probes a service: it makes traffic. */
  "forwards.check": { role: "user", scope: "forwards" },
  "visits.end": { role: "user", scope: "all" },
  /** Join codes too: a device gets at nothing but its account's ports. */
  "devices.change": { role: "user", scope: "all" },
  /** VPN peers, triggers, mappings. */
  "gateway.change": { role: "admin", scope: "all" },
  /** The server itself: where its files are, and what is set. Nothing secret. */
  "settings.read": { role: "admin", scope: "read" },
  "settings.change": { role: "admin", scope: "all" },
  /** Asks around in the network that the server is in: it makes traffic there. */
  "network.check": { role: "admin", scope: "all" },
  /** Everything that the server is, with its secrets, taken out or put in. */
  "server.backup": { role: "admin", scope: "person" },
  "audit.read": { role: "admin", scope: "read" },
  "metrics.read": { role: "admin", scope: "read" },
  "people.read": { role: "admin", scope: "read" },
  /** Quotas, and what shuts somebody out: disabling, removing, taking an invitation back. */
  "people.change": { role: "admin", scope: "all" },
  /** What lets somebody in, or further in: invitations, roles, enabling. */
  "people.admit": { role: "admin", scope: "person" },
  /** One's own sessions, passkeys and tokens, without their secrets. */
  "credentials.read": { role: "viewer", scope: "read" },
  /** One's own sessions and tokens: ending them. */
  "credentials.end": { role: "viewer", scope: "all" },
  /** One's own password, one-time codes, passkeys, and new tokens. */
  "credentials.change": { role: "viewer", scope: "person" },
} as const satisfies Record<string, Demand>;

export type Action = keyof typeof DEMANDS;
export const ACTIONS = Object.keys(DEMANDS) as readonly Action[];

export interface Asker {
  readonly role: AccessRole;
  /** Null: a person. */
  readonly scopes: readonly AccessScope[] | null;
}

/** What an action demands: its least role, and its least scope of a token. */
export function demandOf(action: Action): Demand {
  return DEMANDS[action];
}

export function mayDo({ role, scopes }: Asker, action: Action): boolean {
  const demand: Demand = DEMANDS[action];
  return ROLES.indexOf(role) <= ROLES.indexOf(demand.role) && reaches(scopes, demand.scope);
}

/** Every account's objects, and not only their own account's. */
export function seesAll({ role }: Asker): boolean {
  return role === "admin";
}

function reaches(scopes: Asker["scopes"], wanted: Demand["scope"]): boolean {
  if (scopes === null) return true;
  return wanted !== "person" && scopes.some((scope) => SCOPES.indexOf(scope) >= SCOPES.indexOf(wanted));
}
