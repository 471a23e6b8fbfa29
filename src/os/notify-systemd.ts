import { ptr } from "bun:ffi";
import { err, ok, type Result } from "../wire/result.ts";
import { openCLibrary } from "./c-library.ts";

/** told: the supervisor has it. unsupervised: nothing asked to be told (no $NOTIFY_SOCKET), which is no failure. */
export type NotifyOutcome = "told" | "unsupervised";

/**
 * Lines of sd_notify(3). A reload that hands over to another process is: RELOADING from the old one, MAINPID from the
 * old one (systemd believes the main process alone, NotifyAccess=main), READY from the new one.
 */
export const NOTICE = {
  ready: "READY=1",
  stopping: "STOPPING=1",
  mainPid: (pid: number): string => `MAINPID=${pid}`,
  /** What `systemctl status` shows beside "Status:". One line. */
  status: (text: string): string => `STATUS=${text.replaceAll(/\s+/g, " ").slice(0, STATUS_MAX_CHARS)}`,
  /** systemd ≥ 253 wants the time with it, older ones ignore it. */
  reloading: (monotonicUsec: bigint): string => `RELOADING=1\nMONOTONIC_USEC=${monotonicUsec}`,
} as const;

const STATUS_MAX_CHARS = 200;
/** unix(7): `sun_path` is 108 bytes, after a family of two. */
const SUN_PATH_OFFSET = 2;
const SUN_PATH_BYTES = 108;
/** socket(2), send(2) and clock_gettime(2) on Linux: the only system that has systemd. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
/** systemd reads at once; a queue that is full all the same must not stop the program. */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;
const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
} as const;

/**
 * Tells the service manager lines such as NOTICE has, in one datagram. `socket`: $NOTIFY_SOCKET, a path, or a name in
 * the abstract namespace with `@` before it. An error is a sentence for the log: the program goes on without.
 */
export function notifySystemd(lines: readonly string[], socket: string | undefined): Result<NotifyOutcome, string> {
  if (socket === undefined || socket === "") return ok("unsupervised");
  const address = socketAddress(socket);
  if (address === null) return err(`$NOTIFY_SOCKET is "${socket}", which is no socket of this machine.`);
  const library = process.platform === "linux" ? openCLibrary(SYMBOLS) : null;
  if (library === null) return err("$NOTIFY_SOCKET is set, and this system has no systemd to tell.");
  const descriptor = library.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return err("systemd could not be told: no socket can be made for it.");
  try {
    const text = new TextEncoder().encode(lines.join("\n"));
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = library.sendto(descriptor, ptr(text), text.length, flags, ptr(address), address.length);
    return Number(sent) === text.length ? ok("told") : err(`systemd could not be told: nothing takes it at ${socket}.`);
  } finally {
    library.close(descriptor);
  }
}

/** For NOTICE.reloading: the system's own monotonic clock; the runtime's begin with the process. */
export function monotonicUsec(): bigint {
  const time = new BigInt64Array(2);
  const result = openCLibrary(SYMBOLS)?.clock_gettime(CLOCK_MONOTONIC, ptr(time));
  const [seconds = 0n, nanoseconds = 0n] = result === 0 ? time : [];
  return seconds * 1_000_000n + nanoseconds / 1_000n;
}

/** A `sockaddr_un` as long as its name; null for what is none (vsock:…, a relative path, one that is too long). */
function socketAddress(socket: string): Uint8Array | null {
  const path = new TextEncoder().encode(socket);
  const isAbstract = socket.startsWith("@");
  if (!isAbstract && !socket.startsWith("/")) return null;
  if (path.length >= SUN_PATH_BYTES) return null;
  const address = new Uint8Array(SUN_PATH_OFFSET + path.length + (isAbstract ? 0 : 1));
  // The family is a number in the machine's own order; the systems that Bun runs on are little-endian.
  address[0] = AF_UNIX;
  address.set(path, SUN_PATH_OFFSET);
  if (isAbstract) address[SUN_PATH_OFFSET] = 0;
  return address;
}
