import { errorCode, messageOf } from "../../os/errors.ts";
import { ApiProblem, PROBLEM_TYPES } from "../../servers/api/client.ts";
import { ControlError } from "../../servers/local/error.ts";

/** What OpenSSL says of a certificate that was shown and is not taken (openssl-verify(1)), and Node of its name. */
const CERTIFICATE_CODES = /CERT|^UNABLE_TO_|^ERR_TLS_|^HOSTNAME_MISMATCH$/;

/** What a call of the API failed with, as a relay on this machine would have said it. */
export function remoteFailure(error: unknown, url: string): unknown {
  if (error instanceof ControlError) return error;
  if (error instanceof ApiProblem) return problemFailure(error);
  if (error instanceof SyntaxError) {
    const message = `What answers at ${url} is no console of Hatchway: give the address that \`hatchway serve\` prints.`;
    return new ControlError("unreachable", message, { cause: error });
  }
  const code = errorCode(error) ?? "";
  if (CERTIFICATE_CODES.test(code)) return untrusted(code, url, error);
  if (!(error instanceof Error)) return error;
  if (error.name === "TimeoutError") {
    return new ControlError("unreachable", `${url} does not answer: check the address, and that the relay runs.`, {
      cause: error,
    });
  }
  if (error.name === "AbortError") {
    return new ControlError("failed", "The command was stopped before the relay had answered.", { cause: error });
  }
  // Of fetch, all else is that it did not get there.
  if (error instanceof TypeError || code !== "") {
    const why = messageOf(error).replace(/\.?( For more information.*)?$/, "");
    const message = `${url} cannot be reached (${why}): check the address, and that the relay runs with a console.`;
    return new ControlError("unreachable", message, { cause: error });
  }
  return error;
}

/** The server's sentence stays; what it means for the exit code is what the same refusal means locally. */
function problemFailure(error: ApiProblem): ControlError {
  const { status, detail, type, errors = [] } = error.problem;
  const as = (kind: ControlError["kind"], message = detail) => new ControlError(kind, message, { cause: error });
  switch (status) {
    case 400:
    case 404:
    case 421:
    case 422:
      return as("usage");
    case 401:
      return as(
        "refused",
        "The relay does not take this token: it is wrong, has expired or was removed. Make a new one.",
      );
    case 403:
      return as("refused", type === PROBLEM_TYPES.setup ? "The relay's console has no administrator yet." : detail);
    case 409:
      // Of ports: somebody else has them, whatever was asked. Else of the request.
      return as(errors.length > 0 ? "failed" : "usage");
    case 429:
      return as("refused", error.retryAfterSec === null ? detail : `${detail} Try again in ${error.retryAfterSec} s.`);
    default:
      return as("failed");
  }
}

function untrusted(code: string, url: string, cause: unknown): ControlError {
  const why = code.includes("EXPIRED")
    ? "has expired"
    : /ALTNAME|HOSTNAME/.test(code)
      ? "is for another name"
      : "is signed by nobody that is known here";
  const message = `The certificate of ${url} ${why}: name its CA by --ca FILE, or the relay's own key by --fingerprint, which \`hatchway status\` shows on its machine.`;
  return new ControlError("unreachable", message, { cause });
}

/** The same object, whose every method (each returns a promise) rejects as a relay on this machine does. */
export function tellingFailures<T extends object>(control: T, url: string): T {
  return new Proxy(control, {
    get(target, key, receiver) {
      const method: unknown = Reflect.get(target, key, receiver);
      if (typeof method !== "function") return method;
      return async (...parameters: unknown[]): Promise<unknown> => {
        try {
          return await Reflect.apply(method, target, parameters);
        } catch (error) {
          throw remoteFailure(error, url);
        }
      };
    },
  });
}
