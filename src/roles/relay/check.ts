import { CheckLimits } from "../../core/check/limits.ts";
import { NONCE_BYTES, TCP_PROBE_MS, udpProbe } from "../../core/check/probes.ts";
import { allowedTries, probedAddress } from "../../core/check/service-rules.ts";
import { allowsSource } from "../../core/source-rules.ts";
import { type ProbeResult, probeTcp, probeUdp } from "../../dataplanes/direct/probe.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { parseAddress, sourceKey } from "../../wire/address.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { ControlOf, ResultOutcome } from "../../wire/tunnel/control.ts";
import type { LinkOf } from "./device-link.ts";
import { entryState } from "./forward-state.ts";
import type { RelayForwards } from "./forwards.ts";
import { refused } from "./refused.ts";

export interface RelayCheckOptions {
  readonly forwards: RelayForwards;
  /** `[check] private`, asked for each check. */
  allowsPrivate(): boolean;
  readonly linkOf: LinkOf;
  /** Of the relay's machine, now. */
  ownAddresses(): ReadonlySet<string>;
  /** No descriptors are left to probe with. */
  scarce(): boolean;
  /** Monotonic. */
  nowMs(): number;
  readonly signal: AbortSignal;
}

/** A port of the asker's own address. */
export interface OwnPort {
  /** As the relay sees it. */
  readonly address: string;
  /** The addresses that the asker named; none = its own. */
  readonly named: readonly string[];
  readonly protocol: Protocol;
  readonly port: number;
  /** UDP: the id of what is sent (core/check/probes.ts). */
  readonly probe: string | null;
  readonly nonce: Uint8Array;
  /** What the asker sent for this: the probe puts no more on the wire. */
  readonly allowanceBytes: number;
  /** Who it is counted for, beside its address. */
  readonly askerName: string | null;
}

export interface CheckRefusal {
  readonly why: "policy" | "failed";
  readonly message: string;
}

/**
 * A relay's check service: it looks at ports of the asker's own address from outside, and tells a device what it knows
 * of the device's own forwards. It is no scanner (docs/decisions/0024).
 */
export class RelayCheck {
  readonly #options: RelayCheckOptions;
  readonly #limits: CheckLimits;

  constructor(options: RelayCheckOptions) {
    this.#options = options;
    this.#limits = new CheckLimits(options.nowMs());
  }

  /** The answer to a device. */
  async answer(session: Session, { target, pad = "" }: ControlOf<"check">): Promise<ResultOutcome> {
    const address = canonical(session.remoteAddress);
    if (target.kind === "forward") {
      return { kind: "check", address, probe: null, entry: this.#entry(session.peer.deviceId, target.id, address) };
    }
    const looked = await this.look({
      address: session.remoteAddress,
      named: target.addresses,
      protocol: target.protocol,
      port: target.port,
      probe: target.probe,
      nonce: new Uint8Array(Buffer.from(target.nonce, "base64url")),
      allowanceBytes: pad.length,
      askerName: `device ${session.peer.deviceId}`,
    });
    if (!looked.ok) return refused(looked.error.why, looked.error.message);
    const { saw, from, elapsedMs, fits } = looked.value;
    const probe = { saw, from, elapsedMs: Math.round(elapsedMs), fits };
    return { kind: "check", address, probe, entry: null };
  }

  /** Looks at a port of the asker's own address, once. */
  async look(ask: OwnPort): Promise<Result<ProbeResult, CheckRefusal>> {
    const { protocol, port, nonce, allowanceBytes, askerName } = ask;
    const relayAddresses = this.#options.ownAddresses();
    const asker = { address: ask.address, named: ask.named, relayAddresses };
    const address = probedAddress(asker, { private: this.#options.allowsPrivate() });
    if (!address.ok) return address;
    const probe = ask.probe === null ? null : udpProbe(ask.probe);
    if (protocol === "udp" && (probe === null || nonce.length !== NONCE_BYTES)) {
      return err({
        why: "failed",
        message: `This relay has no probe "${ask.probe}" for UDP: choose another with --payload.`,
      });
    }
    const payload = protocol === "udp" && probe !== null ? probe.payload(nonce) : new Uint8Array(0);
    const tries = allowedTries(protocol, address.value, payload.length, allowanceBytes);
    if (tries < 1) {
      const message = "The request is smaller than what the check would send: fill it up, in the field pad.";
      return err({ why: "policy", message });
    }
    if (this.#options.scarce())
      return err({ why: "failed", message: "The relay is out of descriptors: check again later." });
    const names = [`address ${sourceKey(address.value)}`, ...(askerName === null ? [] : [askerName])];
    const waitSec = this.#limits.enter(names, this.#options.nowMs());
    if (waitSec !== null) {
      return err({ why: "policy", message: `That is more checks than this relay makes: check again in ${waitSec} s.` });
    }
    const { signal } = this.#options;
    try {
      if (protocol === "tcp") {
        return ok(await probeTcp({ address: address.value, port, deadlineMs: TCP_PROBE_MS, holdMs: 0, signal }));
      }
      const fits = (answer: Uint8Array) => probe?.fits(answer, nonce) === true;
      return ok(await probeUdp({ address: address.value, port, payload, tries, signal, fits }));
    } finally {
      this.#limits.leave(names);
    }
  }

  #entry(device: string, id: string, address: string): Extract<ResultOutcome, { kind: "check" }>["entry"] {
    const { forwards, linkOf } = this.#options;
    const forward = forwards.get(device, id);
    if (forward === null) return { state: "none", allowsAsker: false, visitors: 0, refused: {} };
    const { state } = entryState(forward, forwards, linkOf);
    const counters = forwards.entryOf(forward)?.entry?.visits.counters;
    return {
      state,
      allowsAsker: allowsSource(forward.spec.options.source, address),
      visitors: counters?.visitorsTotal ?? 0,
      refused: { ...counters?.refused() } as Record<string, number>,
    };
  }
}

function canonical(address: string): string {
  const parsed = parseAddress(address);
  return parsed.ok ? parsed.value : address;
}
