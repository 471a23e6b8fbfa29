/**
 * What this folder uses of ssh2's transport layer (1.17.0, pinned in package.json), which has no types of its own.
 * Why not `Server` of the same package: docs/decisions/0028.
 */
declare module "ssh2/lib/protocol/Protocol.js" {
  import type { KexInit } from "ssh2/lib/protocol/kex.js";
  import type { ParsedKey } from "ssh2/lib/protocol/keyParser.js";

  export interface ChannelOpen {
    readonly type: string;
    readonly sender: number;
    readonly window: number;
    readonly packetSize: number;
    readonly data: {
      readonly destIP?: string;
      readonly destPort?: number;
      readonly srcIP?: string;
      readonly srcPort?: number;
      readonly socketPath?: string;
    };
  }

  export interface ChannelConfirmation {
    readonly recipient: number;
    readonly sender: number;
    readonly window: number;
    readonly packetSize: number;
  }

  export interface PublicKeyRequest {
    /** Of RSA: `ssh-rsa`, and which hash in `hashAlgo`. Undefined, as `key`, in a request that is cut off: ssh2 lets it pass. */
    readonly keyAlgo: string | undefined;
    readonly key: Buffer | undefined;
    readonly hashAlgo?: "sha256" | "sha512";
    /** ECDSA: DER. Absent = the client only asks whether the key would do. */
    readonly signature?: Buffer;
    /** What was signed. */
    readonly blob?: Buffer;
  }

  export interface MessageHandlers {
    DISCONNECT(protocol: Protocol, reason: number, description: string): void;
    SERVICE_REQUEST(protocol: Protocol, name: string): void;
    /** The names are undefined in a request that is cut off. */
    USERAUTH_REQUEST(
      protocol: Protocol,
      user: string | undefined,
      service: string | undefined,
      method: string,
      data: unknown,
    ): void;
    GLOBAL_REQUEST(protocol: Protocol, name: string, wantReply: boolean, data: unknown): void;
    REQUEST_SUCCESS(protocol: Protocol): void;
    REQUEST_FAILURE(protocol: Protocol): void;
    /** What a message that is cut off lacks is undefined. */
    CHANNEL_OPEN(protocol: Protocol, info: Partial<ChannelOpen>): void;
    CHANNEL_OPEN_CONFIRMATION(protocol: Protocol, info: ChannelConfirmation): void;
    CHANNEL_OPEN_FAILURE(protocol: Protocol, recipient: number, reason: number): void;
    CHANNEL_WINDOW_ADJUST(protocol: Protocol, recipient: number, bytes: number): void;
    CHANNEL_DATA(protocol: Protocol, recipient: number, data: Buffer): void;
    CHANNEL_EXTENDED_DATA(protocol: Protocol, recipient: number, data: Buffer): void;
    CHANNEL_EOF(protocol: Protocol, recipient: number): void;
    CHANNEL_CLOSE(protocol: Protocol, recipient: number): void;
    CHANNEL_REQUEST(protocol: Protocol, recipient: number, type: string, wantReply: boolean, data: unknown): void;
  }

  export interface ProtocolOptions {
    readonly server: true;
    readonly hostKeys: Readonly<Record<string, ParsedKey>>;
    /** After `SSH-2.0-`. */
    readonly ident: string;
    readonly offer: KexInit;
    onWrite(bytes: Buffer): void;
    onError(error: Error): void;
    onHeader(header: { readonly versions: { readonly software: string } }): void;
    onHandshakeComplete(negotiated: unknown): void;
    readonly messageHandlers: MessageHandlers;
  }

  class Protocol {
    constructor(options: ProtocolOptions);
    /** Undefined while no key exchange is under way: during one, packets wait in a list. */
    readonly _kexinit: unknown;
    /** Reads what came in one packet after the first key exchange, but for those that change keys. Each new cipher takes the one that is here. */
    _onPayload: (payload: Buffer) => number | false | undefined;
    /** What deciphers now: before the first key exchange is done, with a reader of its own. There when `onHeader` is called. */
    readonly _decipher: Pick<Protocol, "_onPayload">;
    /** The client guessed how keys will be exchanged, and guessed wrong. */
    _skipNextInboundPacket: boolean;
    /** For messages that have no method of their own, or one that says too little (outbound.ts). */
    readonly _packetRW: {
      readonly write: {
        readonly allocStartKEX: number;
        alloc(payloadBytes: number, force: true): Buffer;
        finalize(packet: Buffer, force: true): Buffer;
      };
    };
    readonly _cipher: { encrypt(packet: Buffer): void };
    start(): void;
    /** Throws on what is not SSH, or was forged. */
    parse(bytes: Buffer, from: number, to: number): void;
    /** Every call after it throws. */
    cleanup(): void;
    ping(): void;
    rekey(): void;
    serviceAccept(name: string): void;
    authFailure(methods: readonly string[]): void;
    authSuccess(): void;
    authPKOK(algorithm: string, key: Buffer): void;
    requestSuccess(data?: Buffer): void;
    requestFailure(): void;
    channelSuccess(remoteId: number): void;
    channelFailure(remoteId: number): void;
    channelData(remoteId: number, data: Buffer): void;
    channelExtData(remoteId: number, data: Buffer, type: number): void;
    channelEOF(remoteId: number): void;
    channelClose(remoteId: number): void;
    channelWindowAdjust(remoteId: number, bytes: number): void;
    channelOpenConfirm(remoteId: number, localId: number, windowBytes: number, packetBytes: number): void;
    channelOpenFail(remoteId: number, reason: number, description: string): void;
    forwardedTcpip(
      localId: number,
      windowBytes: number,
      packetBytes: number,
      from: {
        readonly boundAddr: string;
        readonly boundPort: number;
        readonly remoteAddr: string;
        readonly remotePort: number;
      },
    ): void;
    openssh_forwardedStreamLocal(
      localId: number,
      windowBytes: number,
      packetBytes: number,
      from: { readonly socketPath: string },
    ): void;
    exitStatus(remoteId: number, status: number): void;
  }

  // biome-ignore lint/style/noDefaultExport: what the package exports is not ours to choose.
  export { Protocol as default };
}

declare module "ssh2/lib/protocol/kex.js" {
  interface Algorithms {
    readonly kex: readonly string[];
    readonly serverHostKey: readonly string[];
    readonly cs: Direction;
    readonly sc: Direction;
  }
  interface Direction {
    readonly cipher: readonly string[];
    readonly mac: readonly string[];
    readonly compress: readonly string[];
    readonly lang: readonly string[];
  }
  export class KexInit {
    constructor(algorithms: Algorithms);
  }
}

declare module "ssh2/lib/protocol/keyParser.js" {
  export interface ParsedKey {
    readonly type: string;
    /** The blob of RFC 4253 §6.6. */
    getPublicSSH(): Buffer;
    getPrivatePEM(): string | null;
  }
  /** OpenSSH's own format, and PEM. */
  export function parseKey(text: string): ParsedKey | Error;
}

declare module "ssh2/lib/keygen.js" {
  export function generateKeyPairSync(
    type: "ed25519",
    options: { readonly comment: string },
  ): { readonly private: string; readonly public: string };
}
