import type { CommandOutput, Run } from "../../../os/command.ts";
import { loadOrCreateWgKey, type WgKeyPair } from "../../../os/wireguard-key.ts";
import type { Endpoint } from "../../../wire/endpoint.ts";
import { INTERFACE_NAME } from "../../../wire/interface-name.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import { decodeDump, type WgDump } from "../../../wire/wireguard/dump.ts";
import type { WgKey } from "../../../wire/wireguard/key.ts";
import { notRun, programFailure } from "./failure.ts";
import { decodeLink, type Link } from "./link.ts";
import { type ActualVpn, planSteps, type Step } from "./plan.ts";
import type { VpnApplied, VpnBackend, VpnError, VpnInterface, VpnState, VpnStatus } from "./state.ts";

export interface WireguardOptions {
  readonly run: Run;
  /** The server's private key: made when it is not there. */
  readonly keyPath: string;
  /** How often the interface is looked after; null = only when `apply` is called. */
  readonly checkMs?: number | null;
  /** What goes wrong then, and what mended it: one sentence each. */
  readonly onNotice?: (message: string) => void;
}

type Outcome<T> = Result<T, VpnError>;

const CHECK_MS = 5_000;
const COMMAND_TIMEOUT_MS = 10_000;
const MS_PER_SEC = 1_000;
const KERNEL_KIND = "wireguard";
/** iproute2 and the kernel, when there is no such module. */
const NO_KERNEL_WIREGUARD = /unknown device type|not supported/i;
const NO_SUCH_LINK = /does not exist|cannot find device/i;
const EXISTS = /file exists/i;

/**
 * WireGuard by the kernel, or by wireguard-go where the kernel has none.
 *
 * wireguard-go is a process of its own that goes on when this one ends, as the kernel would: the next start takes the
 * interface over, known by its key, and no session is lost. Where it is ended together with this process (systemd's
 * KillMode=control-group does), or dies, the interface is made again and calls its peers where they last were.
 */
export function createWireguard({ run, keyPath, checkMs = CHECK_MS, onNotice }: WireguardOptions): VpnInterface {
  return new Wireguard(run, keyPath, checkMs, onNotice ?? (() => undefined));
}

class Wireguard implements VpnInterface {
  readonly #run: Run;
  readonly #keyPath: string;
  readonly #checkMs: number | null;
  readonly #onNotice: (message: string) => void;
  /** What was applied last. From then on the interface is ours, whatever key it has. */
  #applied: VpnState | null = null;
  /** Where peers were last heard from; only those that are still wanted. */
  #endpoints = new Map<WgKey, Endpoint>();
  /** Steps of two calls never mix. */
  #turn: Promise<unknown> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** What the last look found wrong: told once, and not at every look. */
  #problem: string | null = null;
  #closed = false;

  constructor(run: Run, keyPath: string, checkMs: number | null, onNotice: (message: string) => void) {
    this.#run = run;
    this.#keyPath = keyPath;
    this.#checkMs = checkMs;
    this.#onNotice = onNotice;
  }

  apply(desired: VpnState): Promise<Outcome<VpnApplied>> {
    return this.#inTurn(async () => {
      const before = this.#applied;
      if (before !== null && before.interface !== desired.interface) {
        const gone = await this.#remove(before.interface);
        if (!gone.ok) return gone;
        this.#applied = null;
      }
      const result = await this.#reconcile(desired);
      this.#check();
      return result;
    });
  }

  status(): Promise<Outcome<VpnStatus>> {
    return this.#inTurn(async () => {
      if (this.#applied === null) return ok({ up: false, peers: [] });
      const actual = await this.#read(this.#applied.interface);
      if (!actual.ok) return actual;
      if (actual.value === null) return ok({ up: false, peers: [] });
      const { link, dump } = actual.value;
      this.#remember(dump);
      const peers = dump.peers.map(({ publicKey, endpoint, latestHandshakeSec, receivedBytes, sentBytes }) => ({
        publicKey,
        endpoint,
        latestHandshakeMs: latestHandshakeSec === null ? null : latestHandshakeSec * MS_PER_SEC,
        receivedBytes,
        sentBytes,
      }));
      return ok({ up: link.up, peers });
    });
  }

  close({ clean }: { readonly clean: boolean }): Promise<Outcome<null>> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    return this.#inTurn(async () => {
      const applied = this.#applied;
      return clean && applied !== null ? this.#remove(applied.interface) : ok(null);
    });
  }

  #inTurn<T>(work: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const done = this.#turn.then(work, work);
    this.#turn = done;
    return done;
  }

  #check(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#checkMs === null || this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#inTurn(async () => {
        const applied = this.#applied;
        if (applied === null || this.#closed) return ok(null);
        const result = await this.#reconcile(applied);
        const problem = result.ok ? null : result.error.message;
        if (problem !== null && problem !== this.#problem) this.#onNotice(problem);
        this.#problem = problem;
        this.#check();
        return ok(null);
      });
    }, this.#checkMs);
    // What is looked after does not keep the process.
    this.#timer.unref();
  }

  async #reconcile(desired: VpnState): Promise<Outcome<VpnApplied>> {
    const { interface: name } = desired;
    if (!INTERFACE_NAME.test(name)) {
      return refused(
        `${JSON.stringify(name)} is not an interface's name: use up to 15 letters, digits, "_", "-" and ".".`,
      );
    }
    const loaded = await loadOrCreateWgKey(this.#keyPath);
    if (!loaded.ok) return err({ kind: "key", message: loaded.error.message });
    const key = loaded.value;
    const read = await this.#read(name);
    if (!read.ok) return read;
    if (read.value === null && this.#applied !== null)
      this.#onNotice(`The VPN's interface ${name} was gone; it is made again.`);
    const actual = read.value === null ? await this.#create(name) : ok(read.value);
    if (!actual.ok) return actual;
    const { link, dump } = actual.value;
    if (this.#applied === null && dump.publicKey !== null && dump.publicKey !== key.publicKey) {
      return refused(
        `${name} is another WireGuard interface: choose another name for the VPN's, or remove it with ip link delete ${name}.`,
      );
    }
    this.#applied = desired;
    this.#remember(dump);
    return this.#take(desired, key, actual.value, link);
  }

  async #take(desired: VpnState, key: WgKeyPair, actual: ActualVpn, link: Link): Promise<Outcome<VpnApplied>> {
    const warnings: string[] = [];
    for (const step of planSteps(desired, key, actual, this.#endpoints)) {
      const done = await this.#do(step);
      if (done.ok) continue;
      if (step.ipv6 !== true) return done;
      warnings.push(`The VPN has no IPv6: ${done.error.message}`);
    }
    const backend: VpnBackend = link.kind === KERNEL_KIND ? "kernel" : "wireguard-go";
    return ok({ backend, publicKey: key.publicKey, warnings });
  }

  /** Null = there is no such interface. */
  async #read(name: string): Promise<Outcome<ActualVpn | null>> {
    const shown = await this.#exec(["ip", "-json", "-details", "address", "show", "dev", name]);
    if (!shown.ok) return shown;
    if (shown.value.exitCode !== 0) {
      return NO_SUCH_LINK.test(shown.value.stderr) ? ok(null) : err(programFailure(["ip", "address"], shown.value));
    }
    const link = decodeLink(shown.value.stdout);
    if (!link.ok) return refused(link.error.message);
    const dumped = await this.#exec(["wg", "show", name, "dump"]);
    if (!dumped.ok) return dumped;
    if (dumped.value.exitCode !== 0) {
      const failure = programFailure(["wg", "show"], dumped.value);
      if (failure.kind === "permission") return err(failure);
      return refused(
        `${name} is not a WireGuard interface that answers: choose another name for the VPN's, or remove it.`,
      );
    }
    const dump = decodeDump(dumped.value.stdout);
    return dump.ok ? ok({ link: link.value, dump: dump.value }) : refused(dump.error.message);
  }

  async #create(name: string): Promise<Outcome<ActualVpn>> {
    const argv = ["ip", "link", "add", "dev", name, "type", KERNEL_KIND];
    const added = await this.#exec(argv);
    if (!added.ok) return added;
    const { exitCode, stderr } = added.value;
    if (exitCode !== 0 && !NO_KERNEL_WIREGUARD.test(stderr) && !EXISTS.test(stderr)) {
      return err(programFailure(argv, added.value));
    }
    if (exitCode !== 0 && NO_KERNEL_WIREGUARD.test(stderr)) {
      const started = await this.#do({ argv: ["wireguard-go", name] });
      if (!started.ok) return started.error.kind === "missing" ? err(NOTHING_RUNS_WIREGUARD) : started;
    }
    const actual = await this.#read(name);
    if (!actual.ok) return actual;
    return actual.value === null
      ? refused(`The interface ${name} vanished as it was made; try again.`)
      : ok(actual.value);
  }

  async #remove(name: string): Promise<Outcome<null>> {
    const argv = ["ip", "link", "delete", "dev", name];
    const deleted = await this.#exec(argv);
    if (!deleted.ok) return deleted;
    // wireguard-go ends, and takes its socket with it, when its interface goes.
    if (deleted.value.exitCode === 0 || NO_SUCH_LINK.test(deleted.value.stderr)) return ok(null);
    return err(programFailure(argv, deleted.value));
  }

  async #do({ argv, input }: Step): Promise<Outcome<null>> {
    const result = await this.#exec(argv, input);
    if (!result.ok) return result;
    return result.value.exitCode === 0 ? ok(null) : err(programFailure(argv, result.value));
  }

  async #exec(argv: readonly string[], input?: string): Promise<Outcome<CommandOutput>> {
    const options = input === undefined ? {} : { input };
    const result = await this.#run(argv, { ...options, timeoutMs: COMMAND_TIMEOUT_MS });
    return result.ok ? result : err(notRun(argv[0] ?? "", result.error));
  }

  #remember(dump: WgDump): void {
    for (const { publicKey, endpoint } of dump.peers) if (endpoint !== null) this.#endpoints.set(publicKey, endpoint);
    const wanted = new Set(this.#applied?.peers.map(({ publicKey }) => publicKey));
    for (const publicKey of this.#endpoints.keys()) if (!wanted.has(publicKey)) this.#endpoints.delete(publicKey);
  }
}

const NOTHING_RUNS_WIREGUARD: VpnError = {
  kind: "unsupported",
  message:
    "This kernel has no WireGuard and wireguard-go is not here: install the package wireguard-go, or a kernel with WireGuard.",
};

function refused(message: string): { readonly ok: false; readonly error: VpnError } {
  return err({ kind: "refused", message });
}
