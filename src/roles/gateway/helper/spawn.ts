import type { Subprocess } from "bun";
import type { LogFormat } from "../../../os/log.ts";
import { ownCommand } from "../../../os/own-program.ts";
import type { HelperSocket } from "./serve.ts";

/** The program again, as its own helper: the same file and the same Bun. */
const COMMAND = "privileged-helper";
/**
 * What the helper keeps of root: nftables, links and WireGuard; and reading its own program and the WireGuard key,
 * wherever they lie. setpriv(1) is part of util-linux, which every Debian has.
 */
const CAPABILITIES = "+net_admin,+dac_read_search";

export interface SpawnedHelper {
  readonly socket: HelperSocket;
  readonly pid: number;
  /** Closes the gateway's end; resolves when the helper has ended. */
  end(): Promise<void>;
}

/** Starts the helper, while this process is still root. `directory`: see `runHelper`. */
export function spawnHelper(directory: string, logFormat: LogFormat): SpawnedHelper {
  const setpriv = Bun.which("setpriv");
  const limited =
    setpriv === null ? [] : [setpriv, "--inh-caps=-all", `--bounding-set=-all,${CAPABILITIES}`, "--no-new-privs"];
  const program = [...ownCommand(), COMMAND, directory, "--log-format", logFormat];
  // Bun's pipes are socket pairs: the two ends are the only ones there are.
  const child: Subprocess<"pipe", "pipe", "inherit"> = Bun.spawn([...limited, ...program], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  return {
    pid: child.pid,
    socket: {
      input: child.stdout,
      write(line) {
        const taken = [child.stdin.write(line), child.stdin.flush()];
        // A helper that ends meanwhile is what the other direction tells.
        for (const one of taken) if (typeof one === "object") one.catch(() => undefined);
      },
    },
    async end() {
      await child.stdin.end();
      await child.exited;
    },
  };
}
