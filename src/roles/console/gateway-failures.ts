import { ApiFailure, type FailureKind } from "../../servers/api/backend.ts";
import { ControlError } from "../control.ts";
import { type GatewayRefusal, GatewayRefused } from "../gateway/refused.ts";
import { storageFailure } from "./storage.ts";

/** What the API makes of a refusal, and the field of the request that it is about. */
const FAILURES = {
  unknown: ["not-found", null],
  name: ["invalid", "name"],
  nameTaken: ["conflict", "name"],
  keyTaken: ["conflict", "publicKey"],
  quota: ["invalid", "maxPorts"],
  expired: ["invalid", "lifetimeSec"],
  full: ["conflict", null],
  noServer: ["conflict", null],
  outside: ["conflict", null],
  settings: ["invalid", null],
  client: ["invalid", "device"],
  closed: ["forbidden", "ports"],
  reserved: ["conflict", "ports"],
  taken: ["conflict", "ports"],
} as const satisfies Record<GatewayRefusal, readonly [FailureKind, string | null]>;

/** What a gateway's refusal is called in the API. */
export function failureOf({ why, message }: GatewayRefused): ApiFailure {
  const [kind, path] = FAILURES[why];
  return new ApiFailure(kind, message, path === null ? {} : { errors: [{ path, message }] });
}

/** What the gateway and its store reject with, as the API tells it. */
export function rethrow(error: unknown): never {
  if (error instanceof GatewayRefused) throw failureOf(error);
  if (error instanceof ControlError && error.kind === "usage") throw new ApiFailure("conflict", error.message);
  if (error instanceof ControlError) throw new ApiFailure("unavailable", error.message, { cause: error });
  throw storageFailure(error);
}
