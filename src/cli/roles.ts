import type { Roles } from "./context.ts";

/** The real relay, agent, gateway, direct forwards, measurements and doctor, each loaded when a command starts it. */
export const ROLES: Roles = {
  relay: async () => (await import("../roles/relay.ts")).startRelay,
  agent: async () => (await import("../roles/agent.ts")).startAgent,
  gateway: async () => (await import("../roles/gateway.ts")).startGateway,
  inspectRouter: async () => (await import("../roles/router/inspect.ts")).inspectRouter,
  exposeByBestWay: async () => (await import("../roles/expose.ts")).exposeByBestWay,
  findVpnGateway: async () => (await import("../roles/upstream/gateway.ts")).findVpnGateway,
  doctor: async () => (await import("../roles/doctor.ts")).openDoctor,
  services: async () => (await import("../roles/service/services.ts")).openServices,
  backups: async () => await import("../roles/backup/command.ts"),
  ping: async () => (await import("../roles/ping.ts")).startPing,
  standalone: async () => (await import("../roles/standalone.ts")).startStandalone,
};
