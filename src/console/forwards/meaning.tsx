import type { PortSet } from "../../wire/port-set.ts";
import type { ForwardPreview } from "../api.ts";
import { Notice } from "../ui/bits.tsx";
import { Icon } from "../ui/icons.tsx";
import type { ForwardFields } from "./draft.ts";
import type { Target } from "./target.ts";
import { meaningOf, portCount, sourcesWords } from "./words.ts";

interface MeaningProps {
  readonly set: PortSet | null;
  readonly fields: ForwardFields;
  /** Null = not chosen yet. */
  readonly target: Target | null;
  /** What visitors type; null = not known yet. */
  readonly publicHost: string | null;
  readonly preview: ForwardPreview | null;
}

/** What saving would do, in plain words, before it is done. */
export function Meaning({ set, fields, target, publicHost, preview }: MeaningProps) {
  const meaning = set === null ? [] : meaningOf(set, fields.protocol);
  const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
  const sources = sourcesWords({ allow: words(fields.allow), deny: words(fields.deny) });
  return (
    <section className="meaning" aria-label="What this does" aria-live="polite">
      <h3>What this does</h3>
      {set === null ? (
        <p className="quiet">Write a port, a list or a range: what it means stands here before you save.</p>
      ) : (
        <>
          <ul className="meaning-list">
            {meaning.map(({ protocols, outside, inside }) => (
              <li key={`${protocols} ${outside}`}>
                <span className="protocol">{protocols}</span> <strong>{outside}</strong>
                {inside === null ? null : (
                  <>
                    {" "}
                    <Icon name="arrow" />
                    <span className="visually-hidden">leads to</span> <strong>{inside}</strong>
                  </>
                )}
              </li>
            ))}
          </ul>
          <dl className="facts">
            <dt>Opens</dt>
            <dd>
              {portCount(meaning)}
              {publicHost === null ? "" : ` at ${publicHost}`}
            </dd>
            <dt>To</dt>
            <dd>{sources}</dd>
            <dt>Leads to</dt>
            <dd>{target === null ? "the device that you choose" : targetWords(target, fields)}</dd>
          </dl>
        </>
      )}
      {target === null ? null : <Trouble target={target} />}
      <PreviewNotices preview={preview} />
    </section>
  );
}

/** What is in the way of it, and what to think of. */
export function PreviewNotices({ preview }: Pick<MeaningProps, "preview">) {
  return (
    <>
      {preview?.problems.map((problem) => (
        <Notice key={`${problem.path} ${problem.message}`} kind="bad">
          {problem.message}
        </Notice>
      ))}
      {preview?.warnings.map((warning) => (
        <Notice key={warning} kind="warn">
          {warning}
        </Notice>
      ))}
    </>
  );
}

export function targetWords(target: Target, { to }: ForwardFields): string {
  switch (target.kind) {
    case "device":
      return `${target.device.name}, ${to.trim() === "" ? "the same machine" : to.trim()}`;
    case "peer":
      return `${target.peer.name} in the VPN, ${target.peer.v4}`;
    case "lan":
      return target.host;
    default:
      return target satisfies never;
  }
}

/** What keeps the chosen one from being reached now. */
export function Trouble({ target }: { readonly target: Target }) {
  switch (target.kind) {
    case "device": {
      const { name, connected, managed } = target.device;
      return (
        <>
          {connected ? null : (
            <Notice kind="warn">{name} is away: its ports wait for it, and open when it comes back.</Notice>
          )}
          {managed === false ? (
            <Notice kind="warn">
              The agent on {name} takes no forwards from here. Start it once with <code>--managed</code> there.
            </Notice>
          ) : null}
        </>
      );
    }
    case "peer":
      return target.peer.state === "active" ? null : (
        <Notice kind="warn">
          {target.peer.name} {target.peer.state === "expired" ? "has expired" : "is turned off"}: let it connect again
          in Devices.
        </Notice>
      );
    case "lan":
      return null;
    default:
      return target satisfies never;
  }
}
