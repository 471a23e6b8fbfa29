import { type CommandError, type CommandOptions, type CommandOutput, runCommand } from "../../os/command.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import {
  type ListedElement,
  type ListedTable,
  parseElements,
  parseTable,
  protocolPlace,
  tableBlock,
} from "./listing.ts";
import { FAMILY, STATIC_SETS, type StaticSetName, TABLE } from "./names.ts";
import type { NatError } from "./state.ts";

/** The program nft, one process a call. What the kernel refuses is a value. */
export interface Nft {
  /** One transaction: all of it, or nothing. */
  apply(text: string): Promise<Result<null, NatError>>;
  /** Null = our table is not there. */
  table(): Promise<Result<ListedTable | null, NatError>>;
  /** The kernel's own print of the table without elements and counters: to be compared with a later one, and nothing else. */
  print(): Promise<Result<string | null, NatError>>;
  elements(set: StaticSetName): Promise<Result<readonly ListedElement[], NatError>>;
  /** A map that packets fill; none when there is no such map. */
  dynamicMap(name: string): Promise<Result<readonly ListedElement[], NatError>>;
}

/** 20,000 forwards in one transaction take 0.7 s on an idle machine. */
const APPLY_TIMEOUT_MS = 60_000;

const NO_NFT: NatError = {
  kind: "missing",
  message: "Install nftables (the package of the same name): its program nft is not on this machine.",
};
/** Of the program before `nft` when there is no nft. */
const NOT_FOUND = 127;

/**
 * `prefix`: what stands before `nft`, such as `ip netns exec NAME`. `onTransaction`: told the number of the process that
 * makes one, as the kernel will name it.
 */
export function createNft(prefix: readonly string[], onTransaction: (pid: number) => void = () => {}): Nft {
  const run = async (
    args: readonly string[],
    { input, onStart }: Pick<CommandOptions, "input" | "onStart"> = {},
  ): Promise<Result<string, NatError>> => {
    const result = await runCommand([...prefix, "nft", ...args], { input, onStart, timeoutMs: APPLY_TIMEOUT_MS });
    if (!result.ok) return err(startError(result.error));
    return result.value.exitCode === 0 ? ok(result.value.stdout) : err(classify(result.value));
  };
  const list = async (
    args: readonly string[],
    protocolAt: number | null,
  ): Promise<Result<ListedElement[], NatError>> => {
    const result = await run(["-j", "list", ...args]);
    return result.ok ? parsed(() => parseElements(result.value, protocolAt)) : result;
  };
  return {
    async apply(text) {
      if (text === "") return ok(null);
      const result = await run(["-f", "-"], { input: text, onStart: onTransaction });
      return result.ok ? ok(null) : result;
    },
    // `list ruleset` with -t leaves the elements in the kernel (6 ms with 100,000 of them); every other list of more
    // than one set fetches all (650 ms).
    async table() {
      const result = await run(["-j", "-t", "list", "ruleset", FAMILY]);
      return result.ok ? parsed(() => parseTable(result.value)) : result;
    },
    async print() {
      const result = await run(["-s", "-t", "list", "ruleset", FAMILY]);
      return result.ok ? ok(tableBlock(result.value)) : result;
    },
    elements: (set) => list([STATIC_SETS[set].kind, ...TABLE.split(" "), set], protocolPlace(set)),
    dynamicMap: (name) => list(["map", ...TABLE.split(" "), name], null),
  };
}

/** What nft prints is another program's: it may be cut off. */
function parsed<T>(parse: () => T): Result<T, NatError> {
  try {
    return ok(parse());
  } catch (error) {
    return err({ kind: "refused", message: `nft printed what cannot be read (${String(error)}); try again.` });
  }
}

function startError({ kind, message }: CommandError): NatError {
  switch (kind) {
    case "missing":
      return NO_NFT;
    case "permission":
      return { kind: "permission", message };
    case "timeout":
    case "aborted":
    case "failed":
      return { kind: "refused", message };
    default:
      return kind satisfies never;
  }
}

/** nft's own words, classified once. */
export function classify({ exitCode, stderr }: CommandOutput): NatError {
  if (exitCode === NOT_FOUND || stderr.includes('exec of "nft" failed')) return NO_NFT;
  if (/Operation not permitted|you must be root/.test(stderr))
    return {
      kind: "permission",
      message: "Run the gateway as root or give it CAP_NET_ADMIN: it may not change this machine's firewall.",
    };
  if (/Operation not supported|Protocol not supported|Unable to initialize Netlink socket/.test(stderr))
    return {
      kind: "unsupported",
      message: `Use a kernel with nftables, its NAT, fib and connlimit (Linux 5.10 or later, modules loaded): ${firstError(stderr)}.`,
    };
  return { kind: "refused", message: `nft refused the change (exit code ${exitCode}): ${firstError(stderr)}.` };
}

function firstError(stderr: string): string {
  const line = stderr.split("\n").find((candidate) => candidate.includes("Error")) ?? stderr.split("\n")[0] ?? "";
  return line.replace(/^.*?Error: /, "").replace(/[.\s]+$/, "") || "it did not say why";
}
