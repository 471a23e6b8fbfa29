/** What the server and its clients agree on beside the shapes. Without zod: the console's bundle has this and no schema. */

/** Problems that a client must tell apart though their status is the same. */
export const PROBLEM_TYPES = {
  /** 401: nobody has signed in; 403 with `setup`: there is no administrator yet. */
  setup: "urn:hatchway:setup-needed",
  /** 401: the password was right, and a one-time code is wanted as well. */
  totp: "urn:hatchway:totp-needed",
  /** 409: a port is somebody else's. */
  conflict: "urn:hatchway:port-conflict",
  /** 412: it was changed by somebody else since it was read. */
  changed: "urn:hatchway:changed",
} as const;

export const PAGE_KEY_HEADER = "X-Hatchway-Page-Key";
export const IDEMPOTENCY_HEADER = "Idempotency-Key";
/** Base64url of its UTF-8: a header takes no other letters. */
export const PASSPHRASE_HEADER = "X-Hatchway-Passphrase";
export const BYTES_TYPE = "application/octet-stream";
export const JSON_TYPE = "application/json";
export const PROBLEM_TYPE = "application/problem+json";
export const LINES_TYPE = "application/x-ndjson";
export const EVENTS_TYPE = "text/event-stream";
