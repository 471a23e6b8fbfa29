import type { PortSet } from "../../wire/port-set.ts";
import type { Device, ForwardPreview } from "../api.ts";
import { Notice } from "../ui/bits.tsx";
import { Icon } from "../ui/icons.tsx";
import type { ForwardFields } from "./draft.ts";
import { meaningOf, portCount, sourcesWords } from "./words.ts";

interface MeaningProps {
  readonly set: PortSet | null;
  readonly fields: ForwardFields;
  readonly device: Device | null;
  /** What visitors type; null = not known yet. */
  readonly publicHost: string | null;
  readonly preview: ForwardPreview | null;
}

/** What saving would do, in plain words, before it is done. */
export function Meaning({ set, fields, device, publicHost, preview }: MeaningProps) {
  const meaning = set === null ? [] : meaningOf(set, fields.protocol);
  const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
  const sources = sourcesWords({ allow: words(fields.allow), deny: words(fields.deny) });
  const target = fields.to.trim() === "" ? "the same machine" : fields.to.trim();
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
            <dd>{device === null ? "the device that you choose" : `${device.name}, ${target}`}</dd>
          </dl>
        </>
      )}
      {device !== null && !device.connected ? (
        <Notice kind="warn">{device.name} is away: its ports wait for it, and open when it comes back.</Notice>
      ) : null}
      {device?.managed === false ? (
        <Notice kind="warn">
          The agent on {device.name} takes no forwards from here. Start it once with <code>--managed</code> there.
        </Notice>
      ) : null}
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
    </section>
  );
}
