import { ControlError } from "../servers/local/error.ts";

/** Where a person says which forward, and it is looked for at the relay: here, or by another machine over its API. */
export interface NamedForward {
  readonly id: string;
  readonly name: string;
  readonly device: { readonly id: string; readonly name: string };
  /** It was made at the relay, and can be removed there. */
  readonly isRelays: boolean;
}

/** The forward that `idOrName` means; `device`: its name or id, null = whichever has it. Throws ControlError `usage`. */
export function forwardCalled<T extends NamedForward>(
  idOrName: string,
  device: string | null,
  forwards: Iterable<T>,
): T {
  const matches = [...forwards].filter(
    (one) =>
      (one.id === idOrName || one.name === idOrName) &&
      (device === null || one.device.id === device || one.device.name === device),
  );
  const [forward, ...others] = matches.filter(({ isRelays }) => isRelays);
  if (forward === undefined) {
    throw new ControlError(
      "usage",
      matches.length === 0
        ? `There is no forward "${idOrName}": "hatchway forward ls" lists them.`
        : `"${idOrName}" was made on its device: remove it there.`,
    );
  }
  if (others.length === 0) return forward;
  const devices = [forward, ...others].map((one) => one.device.name).join(", ");
  throw new ControlError("usage", `Several devices have a forward "${idOrName}" (${devices}): say which by --device.`);
}

/** The key of that fingerprint, or the only one of that comment: a comment may be another's fingerprint. Throws ControlError `usage`. */
export function sshKeyCalled<T extends { readonly fingerprint: string; readonly comment: string }>(
  named: string,
  keys: readonly T[],
): T {
  const exact = keys.find(({ fingerprint }) => fingerprint === named);
  const [key, ...others] = exact === undefined ? keys.filter(({ comment }) => comment === named) : [exact];
  const quoted = JSON.stringify(named);
  if (key === undefined) {
    throw new ControlError("usage", `There is no SSH key ${quoted}: hatchway ssh-key ls lists them.`);
  }
  if (others.length === 0) return key;
  const message = `${others.length + 1} SSH keys are called ${quoted}: give the fingerprint, which hatchway ssh-key ls shows.`;
  throw new ControlError("usage", message);
}

/** The token of that id, or the only one of that name. Throws ControlError `usage`. */
export function tokenCalled<T extends { readonly id: string; readonly name: string }>(
  nameOrId: string,
  tokens: readonly T[],
): T {
  const byId = tokens.find(({ id }) => id === nameOrId);
  const [token, ...others] = byId === undefined ? tokens.filter(({ name }) => name === nameOrId) : [byId];
  if (token === undefined) {
    throw new ControlError("usage", `There is no token ${JSON.stringify(nameOrId)}: "hatchway token ls" lists them.`);
  }
  if (others.length === 0) return token;
  throw new ControlError("usage", `Several tokens are called ${JSON.stringify(nameOrId)}: give the id of one.`);
}
