import { dataPaths } from "../os/paths.ts";
import type { InspectRouter, OpenDoctor } from "./control.ts";
import { examine } from "./doctor/examine.ts";
import { makeReport } from "./doctor/report.ts";
import { openWorld } from "./doctor/world.ts";
import { inspectRouter } from "./router/inspect.ts";

/** `hatchway doctor` on this machine. */
export const openDoctor: OpenDoctor = doctorWith(inspectRouter);

/** The same with another way to ask the router, for tests. */
export function doctorWith(inspect: InspectRouter): OpenDoctor {
  return ({ dataDir, ...rest }) => {
    const world = openWorld({ paths: dataPaths(dataDir), ...rest, inspectRouter: inspect });
    return {
      examine: () => examine(world),
      report: (findings, format) => makeReport(world, findings, format),
    };
  };
}
