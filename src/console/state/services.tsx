import { createContext, type ReactNode, use, useSyncExternalStore } from "react";
import type { Api, Me, ServerRole } from "../api.ts";
import type { LiveState, LiveStore } from "./live.ts";

export interface Services {
  readonly api: Api;
  readonly live: LiveStore;
  readonly me: Me;
  /** What the server is, which decides what there is to show. */
  readonly roles: readonly ServerRole[];
  /** Asks again who is signed in: a passkey or a one-time code was added. */
  readonly refreshMe: () => Promise<void>;
}

const ServicesContext = createContext<Services | null>(null);

export function ServicesProvider({
  services,
  children,
}: {
  readonly services: Services;
  readonly children: ReactNode;
}) {
  return <ServicesContext value={services}>{children}</ServicesContext>;
}

export function useServices(): Services {
  const services = use(ServicesContext);
  if (services === null) throw new Error("a page is shown outside of ServicesProvider");
  return services;
}

export function useLive(): LiveState {
  const { live } = useServices();
  return useSyncExternalStore(live.subscribe, live.snapshot);
}

/** Viewers look, and change nothing but their own account. */
export function useMayChange(): boolean {
  return useServices().me.role !== "viewer";
}

/** What concerns the gateway itself is its administrators' alone. */
export function useIsAdmin(): boolean {
  return useServices().me.role === "admin";
}

export function useHasRole(role: ServerRole): boolean {
  return useServices().roles.includes(role);
}
