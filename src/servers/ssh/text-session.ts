import type { ByteSink } from "../../dataplanes/io/ends.ts";
import type { SshChannel } from "./channel.ts";

/** What a session shows, in text without control characters. */
export interface TextView {
  /** All of it: what is open where. */
  lines(): readonly string[];
  /** One line that changes as time goes on. */
  counters(): string;
}

export interface SessionAnswers {
  channelSuccess(remoteId: number): void;
  channelFailure(remoteId: number): void;
  exitStatus(remoteId: number, status: number): void;
}

export interface TextSessionOptions {
  readonly channel: SshChannel;
  readonly answers: SessionAnswers;
  readonly view: TextView;
  /** What nobody has read yet, told once. */
  untold(): readonly string[];
  /** `q`, Ctrl-C or Ctrl-D: the connection is to end. The channel has ended, so that the client reads the last words. */
  quit(): void;
  /** The channel is gone. */
  ended(): void;
}

const HELP = [
  "? shows this help, Enter the list, q or Ctrl-C ends the connection.",
  "Forwards are asked for when you connect: ssh -R 8080:localhost:80.",
];
/** To who asks for something else than the list. */
const NO_COMMANDS =
  "No commands are run here: leave the command out, or use -N. A machine behind the relay is reached by ssh -J.";
const NO_FILES = "No files are kept here: a machine behind the relay is reached by scp -J or sftp -J.";
const FAILED = 1;
const CTRL_C = 0x03;
const CTRL_D = 0x04;
const ENTER = 0x0d;
const NEW_LINE = 0x0a;
const CLEAR_LINE = "\r\u001b[2K";
/** Typed ahead: more is no person's. */
const MAX_KEYS = 256;

/** A session channel: it shows what is open, and takes a few keys. No command is run, no file read, no variable taken. */
export class TextSession implements ByteSink {
  readonly #options: TextSessionOptions;
  #isTerminal = false;
  /** Of the terminal; 0 = not known. */
  #columns = 0;
  #started = false;
  #told = "";

  constructor(options: TextSessionOptions) {
    this.#options = options;
    options.channel.sink = this;
    options.channel.opened();
  }

  /** A request on the channel (RFC 4254 §6). */
  request(type: string, wantReply: boolean, data: unknown): void {
    const { remoteId } = this.#options.channel;
    if (remoteId === null) return;
    const granted = this.#grant(type, data);
    if (wantReply) {
      if (granted) this.#options.answers.channelSuccess(remoteId);
      else this.#options.answers.channelFailure(remoteId);
    }
    if (!granted) return;
    if (type === "shell") this.#start();
    else if (type === "exec") this.#refuse(NO_COMMANDS);
    else if (type === "subsystem") this.#refuse(NO_FILES);
  }

  #grant(type: string, data: unknown): boolean {
    switch (type) {
      case "pty-req":
        this.#isTerminal = true;
        this.#columns = columnsOf(data);
        return !this.#started;
      case "shell":
      // Granted, and then told why not: of what is refused at once, clients say that it failed and nothing else.
      case "exec":
      case "subsystem":
        return !this.#started;
      case "window-change":
        this.#columns = columnsOf(data);
        return true;
      case "signal":
        return true;
      default:
        return false;
    }
  }

  #start(): void {
    this.#started = true;
    const { untold, view } = this.#options;
    this.#say([...untold(), ...view.lines(), ...HELP.slice(0, 1)]);
  }

  #refuse(why: string): void {
    this.#started = true;
    this.#options.channel.writeError(Buffer.from(`${why}${this.#lineEnd}`));
    this.#end(FAILED);
  }

  /** Something opened or closed. */
  changed(lines: readonly string[]): void {
    if (this.#started) this.#say(lines);
  }

  /** Once a second. On a terminal the line of counters is written over and over; elsewhere nothing is. */
  tick(): void {
    if (!this.#started || !this.#isTerminal) return;
    const whole = this.#options.view.counters();
    // A line that wraps could not be written over. Behind the last column is the cursor.
    const line = this.#columns > 0 ? whole.slice(0, this.#columns - 1) : whole;
    if (line === this.#told) return;
    this.#told = line;
    this.#write(`${CLEAR_LINE}${line}`);
  }

  get #lineEnd(): string {
    return this.#isTerminal ? "\r\n" : "\n";
  }

  #say(lines: readonly string[]): void {
    const over = this.#told === "" ? "" : CLEAR_LINE;
    this.#told = "";
    this.#write(over + lines.map((line) => line + this.#lineEnd).join(""));
  }

  #write(text: string): void {
    const { channel } = this.#options;
    // Who does not read is told no more: the next line tells all again.
    if (channel.isOpen && !this.#stuck) this.#stuck = channel.write(Buffer.from(text)) > 0;
  }
  #stuck = false;

  onOpen(): void {}

  onDrain(queuedBytes: number): void {
    this.#stuck = queuedBytes > 0;
  }

  onData(bytes: Uint8Array): void {
    for (const key of bytes.subarray(0, MAX_KEYS)) {
      switch (key) {
        case 0x71: // q
        case CTRL_C:
        case CTRL_D:
          this.#quit();
          return;
        case 0x3f: // ?
          this.#say(HELP);
          break;
        case ENTER:
        case NEW_LINE:
          this.#say(this.#options.view.lines());
          break;
      }
    }
  }

  #quit(): void {
    this.#say(["Goodbye."]);
    this.#end(0);
    this.#options.quit();
  }

  /** The channel's own end; forwards of the connection go on (`ssh -R … relay < /dev/null`). */
  #end(status: number): void {
    const { channel, answers } = this.#options;
    if (channel.isOpen && channel.remoteId !== null) answers.exitStatus(channel.remoteId, status);
    channel.close();
  }

  onEnd(): void {
    // A client without a terminal has nothing more to type; it reads on until it ends the connection.
    if (this.#isTerminal) this.#end(0);
  }

  onClose(): void {
    this.#options.ended();
  }
}

/** As ssh2 reads `pty-req` and `window-change` (RFC 4254 §6.2, §6.7). */
function columnsOf(data: unknown): number {
  return (data as { readonly cols: number }).cols;
}
