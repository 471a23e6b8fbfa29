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
  /** `q`, Ctrl-C or Ctrl-D: the connection is to end. The channel has ended, so that the client reads the last words. */
  quit(): void;
  /** The channel is gone. */
  ended(): void;
}

const HELP = [
  "? shows this help, Enter the list, q or Ctrl-C ends the connection.",
  "Forwards are asked for when you connect: ssh -R 8080:localhost:80.",
];
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
  #started = false;
  #told = "";

  constructor(options: TextSessionOptions) {
    this.#options = options;
    options.channel.sink = this;
    options.channel.opened();
  }

  /** A request on the channel (RFC 4254 §6). */
  request(type: string, wantReply: boolean): void {
    const { remoteId } = this.#options.channel;
    if (remoteId === null) return;
    const granted = this.#grant(type);
    if (wantReply) {
      if (granted) this.#options.answers.channelSuccess(remoteId);
      else this.#options.answers.channelFailure(remoteId);
    }
    if (type === "shell" && granted) this.#start();
  }

  #grant(type: string): boolean {
    switch (type) {
      case "pty-req":
        this.#isTerminal = true;
        return !this.#started;
      case "shell":
        return !this.#started;
      case "window-change":
      case "signal":
        return true;
      default:
        return false;
    }
  }

  #start(): void {
    this.#started = true;
    this.#say([...this.#options.view.lines(), ...HELP.slice(0, 1)]);
  }

  /** Something opened or closed. */
  changed(lines: readonly string[]): void {
    if (this.#started) this.#say(lines);
  }

  /** Once a second. On a terminal the line of counters is written over and over; elsewhere nothing is. */
  tick(): void {
    if (!this.#started || !this.#isTerminal) return;
    const line = this.#options.view.counters();
    if (line === this.#told) return;
    this.#told = line;
    this.#write(`${CLEAR_LINE}${line}`);
  }

  #say(lines: readonly string[]): void {
    const end = this.#isTerminal ? "\r\n" : "\n";
    const over = this.#told === "" ? "" : CLEAR_LINE;
    this.#told = "";
    this.#write(over + lines.map((line) => line + end).join(""));
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
    this.#end();
    this.#options.quit();
  }

  /** The channel's own end; forwards of the connection go on (`ssh -R … relay < /dev/null`). */
  #end(): void {
    const { channel, answers } = this.#options;
    if (channel.isOpen && channel.remoteId !== null) answers.exitStatus(channel.remoteId, 0);
    channel.close();
  }

  onEnd(): void {
    // A client without a terminal has nothing more to type; it reads on until it ends the connection.
    if (this.#isTerminal) this.#end();
  }

  onClose(): void {
    this.#options.ended();
  }
}
