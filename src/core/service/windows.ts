import { escapeXml } from "../../wire/igd/xml.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type ServiceRole, type ServiceSpec, serviceArgv, unwritable } from "./model.ts";

/** The local service account (well-known SIDs): no password, and hardly any rights. */
const LOCAL_SERVICE = "S-1-5-19";
const SHELL = "C:\\Windows\\System32\\cmd.exe";

/** Its path in the Task Scheduler. */
export function taskName(role: ServiceRole): string {
  return `\\Hatchway\\${role}`;
}

/** Where the log goes: the Task Scheduler keeps nothing of what a program prints. */
export function taskLog({ role, dataDir }: Pick<ServiceSpec, "role" | "dataDir">): string {
  return `${dataDir}\\${role}.log`;
}

/**
 * A task for the Task Scheduler (version 1.4: Windows 10, Server 2016), which Windows has by itself: a service proper
 * needs a program that answers its service control manager, which a program of a console does not.
 */
export function windowsTask(spec: ServiceSpec): Result<string, string> {
  const bad = unwritable(spec);
  if (bad !== null) return err(bad);
  const argv = serviceArgv(spec);
  const log = taskLog(spec);
  // What cmd.exe reads as more than text even between quotes.
  const odd = [...argv, log].find((text) => /["%!^&|<>]/.test(text));
  if (odd !== undefined) return err(`A path with one of " % ! ^ & | < > cannot be in a task: ${odd}.`);
  const command = [...argv.map((word) => `"${word}"`), `2>>"${log}"`].join(" ");
  const element = (name: string, text: string) => `<${name}>${escapeXml(text)}</${name}>`;
  const isSystem = spec.scope === "system";
  return ok(
    [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
      "  <RegistrationInfo>",
      `    ${element("Description", `Hatchway ${spec.role}`)}`,
      `    ${element("URI", taskName(spec.role))}`,
      "  </RegistrationInfo>",
      "  <Triggers>",
      isSystem
        ? "    <BootTrigger><Enabled>true</Enabled></BootTrigger>"
        : "    <LogonTrigger><Enabled>true</Enabled></LogonTrigger>",
      "  </Triggers>",
      "  <Principals>",
      '    <Principal id="Author">',
      ...(isSystem ? [`      ${element("UserId", LOCAL_SERVICE)}`] : ["      <LogonType>InteractiveToken</LogonType>"]),
      "      <RunLevel>LeastPrivilege</RunLevel>",
      "    </Principal>",
      "  </Principals>",
      "  <Settings>",
      "    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>",
      "    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>",
      "    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>",
      "    <StartWhenAvailable>true</StartWhenAvailable>",
      "    <RestartOnFailure>",
      "      <Interval>PT1M</Interval>",
      "      <Count>999</Count>",
      "    </RestartOnFailure>",
      // Without a limit: the default ends it after three days.
      "    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>",
      "    <Enabled>true</Enabled>",
      "  </Settings>",
      '  <Actions Context="Author">',
      "    <Exec>",
      `      ${element("Command", SHELL)}`,
      // cmd.exe takes the outermost quotes away.
      `      ${element("Arguments", `/d /c "${command}"`)}`,
      `      ${element("WorkingDirectory", spec.dataDir)}`,
      "    </Exec>",
      "  </Actions>",
      "</Task>",
      "",
    ].join("\n"),
  );
}
