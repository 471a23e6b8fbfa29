import type { ForwardPreview, SiteOffer } from "../api.ts";
import { Notice } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import type { ForwardFields } from "./draft.ts";
import { PreviewNotices, Trouble, targetWords } from "./meaning.tsx";
import { readNames, type SiteFields, urlOf } from "./site-draft.ts";
import type { Target } from "./target.ts";
import { type NameCheck, useNameChecks } from "./use-name-checks.ts";
import { sourcesWords } from "./words.ts";

interface SiteMeaningProps {
  readonly site: SiteFields;
  readonly fields: ForwardFields;
  /** Null = not chosen yet. */
  readonly target: Target | null;
  readonly offer: SiteOffer;
  readonly preview: ForwardPreview | null;
}

/** What saving a site would do, and whether its names lead here. */
export function SiteMeaning({ site, fields, target, offer, preview }: SiteMeaningProps) {
  const { names, fault } = readNames(site.names);
  const mayHave = preview !== null && !preview.problems.some(({ path }) => path === "host");
  const checks = useNameChecks(mayHave && fault === null ? names : []);
  const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
  const sources = sourcesWords({ allow: words(fields.allow), deny: words(fields.deny) });
  const asks = site.tls !== "pass" && site.logins.length > 0;
  return (
    <section className="meaning" aria-label="What this does" aria-live="polite">
      <h3>What this does</h3>
      {names.length === 0 ? (
        <p className="quiet">Write the name that visitors type: what it means stands here before you save.</p>
      ) : (
        <>
          <ul className="meaning-list">
            {names.map((name) => (
              <li key={name} className="address">
                {urlOf(name, site, offer)}
                {site.port === "" ? null : (
                  <>
                    {" "}
                    <Icon name="arrow" />
                    <span className="visually-hidden">leads to port</span> <strong>{site.port}</strong>
                  </>
                )}
              </li>
            ))}
          </ul>
          <dl className="facts">
            <dt>To</dt>
            <dd>{asks ? `${sources}, with a password` : sources}</dd>
            <dt>Leads to</dt>
            <dd>{target === null ? "the device that you choose" : targetWords(target, fields)}</dd>
          </dl>
        </>
      )}
      {target === null ? null : <Trouble target={target} />}
      <PreviewNotices preview={preview} />
      {names.map((name) => {
        const check = checks.of(name);
        return check === null || !mayHave ? null : (
          <NameNotice key={name} name={name} check={check} onAgain={checks.again} />
        );
      })}
    </section>
  );
}

interface NameNoticeProps {
  readonly name: string;
  readonly check: NameCheck;
  readonly onAgain: () => void;
}

/** Where a name leads, and the records that it wants to lead here. */
function NameNotice({ name, check, onAgain }: NameNoticeProps) {
  if ("asking" in check) return <p className="quiet">Looking {name} up …</p>;
  if ("failure" in check) return <Notice kind="info">{check.failure}</Notice>;
  const { leads, sentence, remedy, records } = check.report;
  if (leads === "here") return <Notice kind="ok">{sentence}</Notice>;
  return (
    <Notice kind={leads === "unknown" ? "info" : "warn"}>
      <p>
        <strong>{sentence}</strong> {remedy}
      </p>
      {records.length === 0 ? null : (
        <ul className="dns-records" aria-label={`Records of ${name}`}>
          {records.map((record) => (
            <li key={`${record.type} ${record.value}`}>
              <dl className="facts">
                <dt>Name</dt>
                <dd>{record.name}</dd>
                <dt>Type</dt>
                <dd>{record.type}</dd>
                <dt>Value</dt>
                <dd>{record.value}</dd>
              </dl>
            </li>
          ))}
        </ul>
      )}
      <Button onClick={onAgain}>Look again</Button>
    </Notice>
  );
}
