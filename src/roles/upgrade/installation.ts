import { existsSync } from "node:fs";
import { join, sep } from "node:path";
import { type OwnProgram, ownProgram } from "../../os/own-program.ts";

/** How this program came here, and so how a newer one does. */
export type Installation =
  | { readonly by: "executable"; readonly path: string }
  | { readonly by: "container" }
  | { readonly by: "npm" | "clone" | "folder"; readonly path: string };

/** What the Dockerfile sets. An executable that somebody put into a container of their own is theirs to replace. */
export const IMAGE_VARIABLE = "HATCHWAY_IMAGE";

export function findInstallation(
  env: Readonly<Record<string, string | undefined>>,
  program: OwnProgram = ownProgram(),
  exists: (path: string) => boolean = existsSync,
): Installation {
  if (program.kind === "executable") {
    return env[IMAGE_VARIABLE] ? { by: "container" } : { by: "executable", path: program.path };
  }
  const { root } = program;
  if (root.split(sep).includes("node_modules")) return { by: "npm", path: root };
  return { by: exists(join(root, ".git")) ? "clone" : "folder", path: root };
}

/** What to do, a line a step: sentences, and commands as they are typed. */
export function stepsOf(installation: Installation): readonly string[] {
  switch (installation.by) {
    case "executable":
      return [
        `Put the new executable in the place of ${installation.path}: write it beside it, then rename it over it.`,
      ];
    case "container":
      return ["Pull or build the new image, and start the container again: docker compose up -d --build"];
    case "npm":
      return ["npm install hatchway@latest  # in the project that has it, or with --global"];
    case "clone":
      return [`git -C ${installation.path} pull`, `npm --prefix ${installation.path} ci`];
    case "folder":
      return [`Put the new files in the place of ${installation.path}, then run npm ci there.`];
    default:
      return installation satisfies never;
  }
}
