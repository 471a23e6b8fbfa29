import { escapeXml } from "../../wire/igd/xml.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type ServiceRole, type ServiceSpec, serviceArgv, unwritable } from "./model.ts";

/** Visitors have 10 seconds to finish; after this launchd kills. */
const EXIT_TIMEOUT_SEC = 20;
/** A visitor takes one descriptor. */
const DESCRIPTORS = 65_536;
/** 0077, as launchd.plist(5) wants it: a number in decimal. */
const UMASK = 0o077;
const RESTART_AFTER_SEC = 10;

type Plist = string | number | boolean | readonly string[] | { readonly [key: string]: Plist };

/** Of the service, and its file's name without `.plist`. */
export function launchdLabel(role: ServiceRole): string {
  return `hatchway.${role}`;
}

/** Where the log goes: launchd has no journal. */
export function launchdLog({ role, dataDir }: Pick<ServiceSpec, "role" | "dataDir">): string {
  return `${dataDir}/${role}.log`;
}

/** A property list for launchd (launchd.plist(5)). */
export function launchdPlist(spec: ServiceSpec): Result<string, string> {
  const bad = unwritable(spec);
  if (bad !== null) return err(bad);
  const log = launchdLog(spec);
  const entries: Readonly<Record<string, Plist>> = {
    Label: launchdLabel(spec.role),
    ProgramArguments: serviceArgv(spec),
    ...(spec.path === null ? {} : { EnvironmentVariables: { PATH: spec.path } }),
    ...(spec.scope === "system" && spec.user !== null ? { UserName: spec.user } : {}),
    WorkingDirectory: "/",
    RunAtLoad: true,
    // Exit code 0 is a stop that somebody asked for.
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: RESTART_AFTER_SEC,
    ExitTimeOut: EXIT_TIMEOUT_SEC,
    Umask: UMASK,
    SoftResourceLimits: { NumberOfFiles: DESCRIPTORS },
    HardResourceLimits: { NumberOfFiles: DESCRIPTORS },
    StandardOutPath: log,
    StandardErrorPath: log,
  };
  return ok(
    [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
      '<plist version="1.0">',
      element(entries, ""),
      "</plist>",
      "",
    ].join("\n"),
  );
}

function element(value: Plist, indent: string): string {
  if (typeof value === "string") return `${indent}<string>${escapeXml(value)}</string>`;
  if (typeof value === "number") return `${indent}<integer>${value}</integer>`;
  if (typeof value === "boolean") return `${indent}<${value}/>`;
  const inner = `${indent}  `;
  if (isList(value)) {
    return [`${indent}<array>`, ...value.map((one) => element(one, inner)), `${indent}</array>`].join("\n");
  }
  const entries = Object.entries(value).flatMap(([key, one]) => [
    `${inner}<key>${escapeXml(key)}</key>`,
    element(one, inner),
  ]);
  return [`${indent}<dict>`, ...entries, `${indent}</dict>`].join("\n");
}

function isList(value: Plist): value is readonly string[] {
  return Array.isArray(value);
}
