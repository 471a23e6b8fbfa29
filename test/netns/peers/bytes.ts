/** What the peers send and check: bytes that repeat only after 64 KiB, so that lost, doubled or swapped pieces show. */
const PATTERN = new Uint8Array(65_536).map((_, index) => (index * 31 + (index >> 8) * 17) & 0xff);

export interface Writer {
  write(bytes: Uint8Array): number;
}

/** Sends `total` bytes of the pattern as far as the socket takes them; call again at drain. True when all are sent. */
export interface Sender {
  pump(socket: Writer): boolean;
}

export function patternSender(total: number): Sender {
  let sent = 0;
  return {
    pump(socket) {
      while (sent < total) {
        const from = sent % PATTERN.length;
        const piece = PATTERN.subarray(from, Math.min(PATTERN.length, from + total - sent));
        const taken = socket.write(piece);
        if (taken < 0) return false;
        sent += taken;
        if (taken < piece.length) return false;
      }
      return true;
    },
  };
}

/** Counts what arrives and finds the first byte that is not the pattern's. */
export interface Checker {
  readonly bytes: number;
  /** Offset of the first wrong byte, or null. */
  readonly wrongAt: number | null;
  take(bytes: Uint8Array): void;
}

export function patternChecker(): Checker {
  let count = 0;
  let wrongAt: number | null = null;
  return {
    get bytes() {
      return count;
    },
    get wrongAt() {
      return wrongAt;
    },
    take(bytes) {
      for (let done = 0; done < bytes.length && wrongAt === null; ) {
        const from = (count + done) % PATTERN.length;
        const length = Math.min(PATTERN.length - from, bytes.length - done);
        const same = Buffer.compare(bytes.subarray(done, done + length), PATTERN.subarray(from, from + length)) === 0;
        if (!same) wrongAt = count + done;
        done += length;
      }
      count += bytes.length;
    },
  };
}

export function patternStart(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => PATTERN[index % PATTERN.length]!);
}

/** One JSON line on stdout: how a peer speaks to its scenario. */
export function say(message: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
