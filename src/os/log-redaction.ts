/**
 * Every line that is logged passes here, so that a secret is left out by what it is and not by the care of whoever
 * logs it: secrets of this program are bytes (keys, join secrets, exported keying material), join codes, PEM keys,
 * or live under a telling name. Bytes are never written at all.
 */
const HIDDEN = "(hidden)";
const TOO_DEEP = "(…)";
const DEPTH_MAX = 8;
const ITEMS_MAX = 100;

const SECRET_NAME = /secret|passw|token|credential|authorization|cookie|private|joincode|join_code|keypem/i;
/** And the devices that apps keep themselves (wire/device-identity.ts). */
const JOIN_CODE = /hatchway(?:key)?\d+-[a-z2-7]{4,}/gi;
const PEM_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
/** `user:password@` of a URL. */
const URL_CREDENTIALS = /(\b[a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@]{1,256}@/gi;

/** One-time links to the console: the first start's, invitations, new passwords. */
const LINK_SECRET = /(\/(?:setup|invite|reset)#)[\w-]+/g;

/** A copy that is safe to write: plain JSON values, no secrets, bounded in depth. */
export function hideSecrets(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case "string":
      return hideInText(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
      return value;
    case "bigint":
      return value.toString();
    case "undefined":
    case "symbol":
    case "function":
      return null;
    case "object":
      return value === null ? null : hideInObject(value, depth);
  }
}

function hideInObject(value: object, depth: number): unknown {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "(no date)" : value.toISOString();
  if (depth >= DEPTH_MAX) return TOO_DEEP;
  if (value instanceof Error) return hideInError(value, depth);
  if (value instanceof Map) return hideInObject(Object.fromEntries(value), depth);
  if (Array.isArray(value) || value instanceof Set)
    return [...value].slice(0, ITEMS_MAX).map((item) => hideSecrets(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_NAME.test(name) && inner !== null ? HIDDEN : hideSecrets(inner, depth + 1),
    ]),
  );
}

/** With its causes, which say what really happened; without the stack, which says where our source is. */
function hideInError(error: Error, depth: number): unknown {
  return {
    error: error.name,
    message: hideInText(error.message),
    ...("code" in error ? { code: hideSecrets(error.code, depth + 1) } : {}),
    ...(error.cause === undefined ? {} : { cause: hideSecrets(error.cause, depth + 1) }),
  };
}

function hideInText(text: string): string {
  return text
    .replace(PEM_KEY, HIDDEN)
    .replace(JOIN_CODE, HIDDEN)
    .replace(URL_CREDENTIALS, `$1${HIDDEN}@`)
    .replace(LINK_SECRET, `$1${HIDDEN}`);
}
