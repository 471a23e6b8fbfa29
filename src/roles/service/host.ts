import { homedir } from "node:os";
import { type Run, runCommand } from "../../os/command.ts";
import { ownCommand, ownProgram } from "../../os/own-program.ts";

/** The machine that services are installed on; tests give one in a folder. */
export interface ServiceHost {
  /** Before every path of the system: "" but in tests. */
  readonly root: string;
  readonly run: Run;
  readonly isRoot: boolean;
  readonly uid: number;
  readonly home: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What starts this program by its arguments. */
  readonly program: readonly string[];
  /** Every file that must be readable for it to run. */
  readonly programFiles: readonly string[];
}

export function thisHost(): ServiceHost {
  const own = ownProgram();
  const isPackage = own.kind === "package";
  const script = isPackage ? `${own.root}/bin/hatchway` : own.path;
  return {
    root: "",
    run: runCommand,
    isRoot: process.geteuid?.() === 0,
    uid: process.getuid?.() ?? 0,
    home: homedir(),
    environment: process.env,
    // bin/hatchway is a script of a shell, which Windows has not.
    program: isPackage && process.platform === "win32" ? ownCommand() : [script],
    programFiles: isPackage ? [script, `${own.root}/package.json`, process.execPath] : [script],
  };
}
