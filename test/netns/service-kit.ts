import { expect } from "bun:test";
import type { Booted } from "../fixtures/systemd.ts";

/** capabilities(7), as /proc writes them. */
export const capabilities = (...numbers: readonly bigint[]): string =>
  numbers
    .reduce((all, number) => all | (1n << number), 0n)
    .toString(16)
    .padStart(16, "0");

/** What tests of `hatchway service` ask of a machine with systemd. */
export function serviceKit(machine: Booted) {
  const shell = (script: string) => machine.run("sh", "-c", script);
  const hatchway = (...args: readonly string[]) => machine.run(machine.hatchway, ...args);
  return {
    shell,
    hatchway,
    /** What a command that must succeed prints as JSON. */
    json(...args: readonly string[]) {
      const { code, out, err } = hatchway(...args, "--json");
      expect({ args, code, err }).toEqual({ args, code: 0, err: "" });
      return JSON.parse(out);
    },
    statusOf: (role: string) => JSON.parse(hatchway("service", "status", role, "--json").out).services[0],
    /** A program of the test's, as a service of its own, so that it ends with the machine. */
    background: (name: string, ...argv: readonly string[]) =>
      expect(machine.run("systemd-run", `--unit=${name}`, ...argv).code).toBe(0),
    /** The lines of /proc/PID/status that say what a process may do. */
    rightsOf(pid: number) {
      const text = shell(`cat /proc/${pid}/status`).out;
      const line = (name: string) => text.match(new RegExp(`^${name}:\\s*(\\S+)`, "m"))?.[1];
      return {
        uid: line("Uid"),
        capabilities: line("CapEff"),
        noNewPrivileges: line("NoNewPrivs"),
        seccomp: line("Seccomp"),
      };
    },
  };
}
