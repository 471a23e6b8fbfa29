import { ApiFailure } from "../../servers/api/backend.ts";
import { StoreFailure } from "../../store/failure.ts";

/** The same backend, whose every method (each returns a promise) tells of a store that takes nothing as the API does: `storage`. */
export function tellingOfStorage<T extends object>(backend: T): T {
  return new Proxy(backend, {
    get(target, key, receiver) {
      const method: unknown = Reflect.get(target, key, receiver);
      if (typeof method !== "function") return method;
      return async (...parameters: unknown[]): Promise<unknown> => {
        try {
          return await Reflect.apply(method, target, parameters);
        } catch (cause) {
          throw storageFailure(cause);
        }
      };
    },
  });
}

/** What to throw in place of what was caught: a store that takes nothing is told as the API does. */
export function storageFailure(cause: unknown): unknown {
  return cause instanceof StoreFailure ? new ApiFailure("storage", cause.message, { cause }) : cause;
}
