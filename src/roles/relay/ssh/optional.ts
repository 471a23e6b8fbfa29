import type { Visits } from "../../../dataplanes/io/visits.ts";
import type { SshReady, SshSettings } from "../../control.ts";
import type { AgentPort, RelayPhase } from "../agent-port.ts";
import type { DeviceLink } from "../device-link.ts";
import type { RefusedCredentials } from "../metrics.ts";
import type { RelaySessions } from "../sessions.ts";
import type { HandedOverSsh } from "./handed-over.ts";
import type { OpenSshOptions, RelaySsh } from "./open.ts";

type Made = "settings" | "onDenied" | "hasAgentCalled" | "hasAgent" | "serving" | "draining";

export interface OptionalSshOptions extends Omit<OpenSshOptions, Made> {
  agentPort(): AgentPort;
  readonly sessions: RelaySessions;
  /** Wrong credentials are counted there. */
  readonly refused: RefusedCredentials;
  phase(): RelayPhase;
}

interface Counts {
  readonly sessions: number;
  readonly pending: number;
}

/** A relay's SSH server, which most relays do not have: it is loaded by those that do. */
export class OptionalSsh implements HandedOverSsh {
  readonly #options: OptionalSshOptions;
  #open: { readonly ssh: RelaySsh; readonly settings: SshSettings } | null = null;

  constructor(options: OptionalSshOptions) {
    this.#options = options;
  }

  /** Nothing happens without settings. Clients of a process before this one may come; others when it listens. */
  async start(settings: SshSettings | undefined): Promise<void> {
    if (settings === undefined) return;
    const { agentPort, sessions, phase, refused } = this.#options;
    const { openSsh } = await import("./open.ts");
    const ssh = await openSsh({
      ...this.#options,
      settings,
      hasAgentCalled: (account, name) => sessions.byName(account, name) !== undefined,
      hasAgent: (deviceId) => agentPort().session(deviceId) !== undefined,
      onDenied: () => {
        refused.devices += 1;
      },
      serving: () => phase() === "serving" || phase() === "waiting",
      draining: () => phase() === "draining",
    });
    this.#open = { ssh, settings };
  }

  /** Null = it does not listen. */
  get listener(): { readonly port: number } | null {
    return this.#open?.ssh.listener ?? null;
  }

  ready(): { readonly ssh?: SshReady } {
    if (this.#open === null) return {};
    const { ssh, settings } = this.#open;
    const { listener, hostKey, fingerprint } = ssh;
    return { ssh: { listen: { host: settings.listen.host, port: listener.port }, hostKey, fingerprint } };
  }

  /** With those of the agent port. */
  countsWith({ sessions, pending }: Counts): Counts {
    const own = this.#open?.ssh.counts ?? { sessions: 0, pending: 0 };
    return { sessions: sessions + own.sessions, pending: pending + own.pending };
  }

  link(deviceId: string): DeviceLink | undefined {
    return this.#open?.ssh.link(deviceId);
  }

  agentUp(deviceId: string): void {
    this.#open?.ssh.agentUp(deviceId);
  }

  cut(deviceId: string): void {
    this.#open?.ssh.cut(deviceId);
  }

  cutKey(deviceId: string, fingerprint: string): void {
    this.#open?.ssh.cutKey(deviceId, fingerprint);
  }

  get devices(): readonly string[] {
    return this.#open?.ssh.devices ?? [];
  }

  listen(): void {
    this.#open?.ssh.listen();
  }

  setShared(shared: boolean): boolean {
    return this.#open?.ssh.setShared(shared) ?? true;
  }

  give(): void {
    this.#open?.ssh.give();
  }

  letGo(): void {
    this.#open?.ssh.letGo();
  }

  get isEmpty(): boolean {
    return this.#open?.ssh.isEmpty ?? true;
  }

  get passing(): readonly Visits[] {
    return this.#open === null ? [] : [this.#open.ssh.passing];
  }

  stopListening(): void {
    this.#open?.ssh.stopListening();
  }

  close(): void {
    this.#open?.ssh.close();
    this.#open = null;
  }
}
