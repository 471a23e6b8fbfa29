import type { ServiceManager, ServiceRole, ServiceScope } from "../../core/service/model.ts";

/** Which service, as a person asked for it. Paths are absolute. */
export interface ServiceRequest {
  readonly role: ServiceRole;
  readonly manager: ServiceManager;
  readonly scope: ServiceScope;
  /** Null: where the manager's services have it. */
  readonly dataDir: string | null;
  /** Null: /etc/hatchway/hatchway.toml when it is there, else hatchway.toml in the data directory. */
  readonly configFile: string | null;
  /** Null: hatchway. */
  readonly user: string | null;
  readonly withoutRelay: boolean;
}

export interface RenderedService {
  readonly file: string;
  readonly text: string;
}

export interface InstallReport {
  readonly role: ServiceRole;
  readonly manager: ServiceManager;
  readonly name: string;
  readonly file: string;
  readonly data: string;
  readonly config: string | null;
  /** Null: the user who installs it. */
  readonly user: string | null;
  /** Anything is other than before. */
  readonly changed: boolean;
  /** One sentence for each thing that was done. */
  readonly done: readonly string[];
  readonly running: boolean;
  /** What a person may do next: sentences. */
  readonly next: readonly string[];
}

export interface UninstallReport {
  readonly role: ServiceRole;
  readonly file: string;
  /** False: there was nothing. */
  readonly removed: boolean;
  /** Kept, with all that is in it; null = not known. */
  readonly data: string | null;
  readonly next: readonly string[];
}

/** absent: no file. foreign, edited, whole: see core/service/mark.ts. */
export type InstalledState = "absent" | "foreign" | "edited" | "whole";

export interface ServiceStatus {
  readonly role: ServiceRole;
  readonly scope: ServiceScope;
  readonly name: string;
  readonly file: string;
  readonly state: InstalledState;
  /** It starts with the system, or with its user's first session. */
  readonly enabled: boolean;
  readonly running: boolean;
  /** The manager's own word: `active`, `failed`, `activating`; null = it was not asked. */
  readonly active: string | null;
  readonly pid: number | null;
  /** Of the process that runs, as it says itself; null = it does not answer. */
  readonly version: string | null;
  /** What starts it, and the version of that on the disk. */
  readonly program: readonly string[] | null;
  readonly programVersion: string | null;
  readonly data: string | null;
  readonly user: string | null;
  /** The command or file that shows its log. */
  readonly log: string;
}

/** What `hatchway service` does. Every method rejects with ControlError. */
export interface Services {
  render(request: ServiceRequest): Promise<RenderedService>;
  /** `now`: start it, or start it again when its file changed. `force`: over a file that somebody else wrote or changed. */
  install(request: ServiceRequest, how: { readonly now: boolean; readonly force: boolean }): Promise<InstallReport>;
  uninstall(
    request: Pick<ServiceRequest, "role" | "manager" | "scope">,
    how: { readonly force: boolean },
  ): Promise<UninstallReport>;
  status(request: Pick<ServiceRequest, "role" | "manager" | "scope">): Promise<ServiceStatus>;
}
export type OpenServices = () => Services;
