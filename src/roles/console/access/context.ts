import type { BegunSession, Origin, Principal } from "../../../servers/api/backend.ts";
import type { SignInMethod } from "../../../store/sessions.ts";
import type { Store } from "../../../store/store.ts";
import type { StoredUser } from "../../../store/users.ts";
import type { PasswordCost } from "./passwords.ts";

export interface AccessOptions {
  readonly store: Store;
  /** For what is stored and shown. */
  wallMs(): number;
  /** Monotonic, for penalties and challenges. */
  nowMs(): number;
  /** Where people open the console: `https://relay.example:8443`, without a slash at the end. For links. */
  publicUrl(): string;
  /** WebAuthn's relying party: the console's host name. Null: it has none (an address), and passkeys cannot be used. */
  passkeyHost(): string | null;
  /** Origins that a passkey may be used at: those of the console. */
  passkeyOrigins(): readonly string[];
  /** Of argon2id; the default is `PASSWORD_COST`. */
  readonly passwordCost?: PasswordCost;
  /** Ends a device's sessions, forwards and key, as an operator would; `actor` goes into the audit log. One that is gone is no failure. */
  endDevice(deviceId: string, actor: string): Promise<void>;
  /** The ports or quotas of an account are others now, or who is in it; perhaps it is gone. */
  accountChanged(accountId: string): Promise<void>;
  /** A wrong password or code, for the log; `waitMs`: for how long the address is not listened to. */
  onDenied(name: string, address: string, waitMs: number): void;
}

/** What signs people in when they have proved who they are. */
export type BeginSession = (user: StoredUser, origin: Origin, method: SignInMethod) => Promise<BegunSession>;

/** As the audit log has it. */
export function actorOf(who: Principal): string {
  return who.scopes === null ? `user:${who.name}` : `token:${who.credentialId}`;
}
