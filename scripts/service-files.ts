// Writes the units of docs/examples, as `hatchway service install` would make them for a program in /opt/hatchway.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SERVICE_ROLES, type ServiceRole, type ServiceSpec, serviceName } from "../src/core/service/model.ts";
import { systemdUnit } from "../src/core/service/systemd.ts";

export const EXAMPLES = join(import.meta.dir, "../docs/examples");

export function exampleSpec(role: ServiceRole): ServiceSpec {
  return {
    role,
    scope: "system",
    program: ["/opt/hatchway/bin/hatchway"],
    dataDir: "/var/lib/hatchway",
    configFile: role === "agent" ? null : "/etc/hatchway/hatchway.toml",
    user: "hatchway",
    withGateway: false,
    withoutRelay: false,
    path: null,
  };
}

/** The unit's file name and its text. */
export function exampleUnit(role: ServiceRole): readonly [string, string] {
  const unit = systemdUnit(exampleSpec(role));
  if (!unit.ok) throw new Error(unit.error);
  return [`${serviceName(role)}.service`, unit.value];
}

if (import.meta.main) {
  for (const role of SERVICE_ROLES) {
    const [name, text] = exampleUnit(role);
    writeFileSync(join(EXAMPLES, name), text);
  }
}
