import type { CheckReport } from "../api.ts";
import { Notice, Pill, type Tone } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";

export type CheckState =
  | { readonly kind: "running" }
  | { readonly kind: "done"; readonly report: CheckReport }
  | { readonly kind: "failed"; readonly message: string };

const VERDICTS = {
  open: { word: "Open", tone: "ok" },
  closed: { word: "Closed", tone: "bad" },
  filtered: { word: "Filtered", tone: "bad" },
  "dead-service": { word: "Way open, service dead", tone: "warn" },
  unknown: { word: "Not known", tone: "quiet" },
} as const satisfies Record<CheckReport["state"], { readonly word: string; readonly tone: Tone }>;

const HOPS = {
  dns: "Name (DNS)",
  isp: "Internet provider",
  router: "Router",
  relay: "Relay",
  policy: "Rules",
  agent: "Agent",
  "host-firewall": "Firewall of the host",
  service: "Service",
  none: "",
} as const satisfies Record<CheckReport["hop"], string>;

const MARKS = {
  ok: { icon: "check", word: "fine" },
  bad: { icon: "cross", word: "fails" },
  unknown: { icon: "question", word: "not known" },
} as const satisfies Record<string, { readonly icon: IconName; readonly word: string }>;

/** What a check found, in a word. */
export function VerdictPill({ state }: { readonly state: CheckReport["state"] }) {
  const { word, tone } = VERDICTS[state];
  return <Pill tone={tone}>{word}</Pill>;
}

interface CheckPanelProps {
  readonly name: string;
  readonly check: CheckState;
  readonly onAgain: () => void;
  readonly onClose: () => void;
}

/** The verdict, and the way that a visitor takes, from outside inwards, with the hop that fails. */
export function CheckPanel({ name, check, onAgain, onClose }: CheckPanelProps) {
  return (
    <section
      className="check-panel"
      aria-label={`Test of ${name}`}
      aria-live="polite"
      aria-busy={check.kind === "running"}
    >
      <CheckResult check={check} />
      {check.kind === "running" ? null : (
        <div className="buttons">
          <Button onClick={onAgain}>Test again</Button>
          <Button look="quiet" onClick={onClose}>
            Close test
          </Button>
        </div>
      )}
    </section>
  );
}

function CheckResult({ check }: { readonly check: CheckState }) {
  switch (check.kind) {
    case "running":
      return <p className="quiet">Trying the way of a visitor, from outside inwards …</p>;
    case "failed":
      return <Notice kind="bad">{check.message}</Notice>;
    case "done":
      return <Report report={check.report} />;
    default:
      return check satisfies never;
  }
}

function Report({ report }: { readonly report: CheckReport }) {
  const { host, port, protocol } = report.target;
  return (
    <>
      <p className="verdict">
        <VerdictPill state={report.state} />
        <span>
          <strong>
            {host ?? ""} {protocol.toUpperCase()} {port}
          </strong>{" "}
          {report.sentence}
          {report.sure ? "" : " (The likeliest of several.)"}
        </span>
      </p>
      {report.evidence.length === 0 ? null : (
        <ol className="hops" aria-label="The way, from outside inwards">
          {report.evidence.map(({ hop, mark, text }) => (
            <li key={`${hop} ${text}`} className={`hop hop-${mark}`}>
              <Icon name={MARKS[mark].icon} />
              <span className="visually-hidden">{MARKS[mark].word}:</span>
              <strong>{HOPS[hop]}</strong>
              <span className="quiet">{text}</span>
            </li>
          ))}
        </ol>
      )}
      {report.remedy === null ? null : (
        <p className="remedy">
          <strong>To do:</strong> {report.remedy}
        </p>
      )}
    </>
  );
}
