import type { Store } from "../../store/store.ts";

export interface Seen {
  readonly deviceId: string;
  /** Where from: `address:port`. */
  readonly from: string;
  /** The key of `ssh-key add` that it proved; null = another credential. */
  readonly keyFingerprint: string | null;
}

/** What has become of what it proved since that was looked up. */
export type Standing = "good" | "revoked" | "keyRemoved";

/**
 * Notes that a device connected. Whoever takes a credential away writes that down first and cuts what is connected then: a
 * device that was looked up before and connected after both is found here, because it is listed when this is called.
 */
export async function noteSeen(
  { devices, sshKeys }: Pick<Store, "devices" | "sshKeys">,
  { deviceId, from, keyFingerprint }: Seen,
  nowMs: number,
): Promise<Standing> {
  if (!(await devices.touch(deviceId, from, nowMs))) return "revoked";
  return keyFingerprint === null || (await sshKeys.touch(keyFingerprint, nowMs)) ? "good" : "keyRemoved";
}
