import { useEffect, useState } from "react";
import type { Result } from "../../wire/result.ts";
import { parseKey } from "../../wire/wireguard/key.ts";
import type { VpnKeys } from "../api.ts";
import { Notice } from "../ui/bits.tsx";
import { SelectField, TextField } from "../ui/field.tsx";
import { type KeyFault, makeKeys, type PeerKeys } from "./keys.ts";

export interface KeyChoice {
  readonly where: "here" | "elsewhere";
  /** As it is typed; of `elsewhere`. */
  readonly publicKey: string;
}

export const KEYS_HERE: KeyChoice = { where: "here", publicKey: "" };

export interface ChosenKeys {
  /** Null: made elsewhere, so there is no file to show. */
  readonly made: PeerKeys | null;
  readonly sent: VpnKeys;
}

/** Makes the pair now, or takes the public key that was pasted. */
export async function takeKeys({ where, publicKey }: KeyChoice): Promise<ChosenKeys> {
  if (where === "elsewhere") return { made: null, sent: { publicKey: publicKey.trim(), presharedKey: null } };
  const made = await makeKeys();
  if (!made.ok) throw new Error(FAULTS[made.error]);
  return { made: made.value, sent: { publicKey: made.value.publicKey, presharedKey: made.value.presharedKey } };
}

const OR_ELSE = "run `hatchway vpn` at the gateway, or paste the public key of a pair that was made on the device.";
const FAULTS: Readonly<Record<KeyFault, string>> = {
  insecure: `Over plain HTTP this browser makes no keys: open the console by HTTPS, ${OR_ELSE}`,
  unknown: `This browser makes no keys of this kind: open the console in a newer one, ${OR_ELSE}`,
};

/** Whether this browser can make keys, by making some; null = not known yet. */
export function useKeyFault(): KeyFault | "none" | null {
  const [fault, setFault] = useState<KeyFault | "none" | null>(null);
  useEffect(() => {
    let wanted = true;
    const take = (made: Result<PeerKeys, KeyFault>) => {
      if (wanted) setFault(made.ok ? "none" : made.error);
    };
    makeKeys()
      .then(take)
      .catch(() => (wanted ? setFault("unknown") : undefined));
    return () => {
      wanted = false;
    };
  }, []);
  return fault;
}

interface KeyFieldsProps {
  readonly choice: KeyChoice;
  readonly onChoice: (choice: KeyChoice) => void;
  readonly fault: KeyFault | "none" | null;
  readonly asked: boolean;
  readonly error: string | null;
}

const WHERE = [
  { value: "here", label: "Made in this browser" },
  { value: "elsewhere", label: "Made on the device" },
] as const;

/** Where the peer's keys come from. The private one never goes to the gateway. */
export function KeyFields({ choice, onChoice, fault, asked, error }: KeyFieldsProps) {
  const canMake = fault === "none" || fault === null;
  const { where, publicKey } = settleKeys(choice, fault);
  const read = publicKey.trim() === "" ? null : parseKey(publicKey.trim());
  const wrong = read !== null && !read.ok && (asked || publicKey.trim().length >= 44) ? read.error.message : null;
  const missing = asked && read === null ? "Paste the public key that `wg pubkey` or its app shows." : null;
  return (
    <>
      {canMake ? (
        <SelectField
          label="Its keys"
          value={where}
          onValue={(value) => onChoice({ ...choice, where: value })}
          options={WHERE}
          hint={where === "here" ? "The private key does not leave this page." : "It keeps its private key to itself."}
        />
      ) : (
        <div className="form-wide">
          <Notice kind="warn">{FAULTS[fault]}</Notice>
        </div>
      )}
      {where === "here" ? null : (
        <TextField
          label="Its public key"
          value={publicKey}
          onValue={(text) => onChoice({ ...choice, publicKey: text })}
          error={wrong ?? missing ?? error}
          autoComplete="off"
          spellCheck={false}
          maxLength={64}
          placeholder="44 characters that end in ="
          required
        />
      )}
    </>
  );
}

/** Where no keys can be made, they come from elsewhere. */
export function settleKeys(choice: KeyChoice, fault: KeyFault | "none" | null): KeyChoice {
  return fault === "none" || fault === null ? choice : { ...choice, where: "elsewhere" };
}

export function areKeysReady({ where, publicKey }: KeyChoice): boolean {
  return where === "here" || parseKey(publicKey.trim()).ok;
}
