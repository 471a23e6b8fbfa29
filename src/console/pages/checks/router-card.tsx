import { useCallback, useEffect, useRef, useState } from "react";
import type { RouterReport } from "../../api.ts";
import { formatAge } from "../../format.ts";
import { useAction } from "../../state/action.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Notice, Pill, type Tone } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { Facts } from "../../ui/facts.tsx";

const SECOND_MS = 1_000;

const VERDICTS = {
  "open-internet": { word: "Ports can be opened", tone: "ok" },
  "public-here": { word: "Ports can be opened", tone: "ok" },
  "double-nat": { word: "Ports are not reached", tone: "bad" },
  cgnat: { word: "Ports are not reached", tone: "bad" },
  blocked: { word: "Only by hand", tone: "warn" },
  "ipv6-only": { word: "By IPv6 alone", tone: "warn" },
  "no-network": { word: "Ports are not reached", tone: "bad" },
  vpn: { word: "By no router here", tone: "warn" },
} as const satisfies Record<RouterReport["verdict"]["kind"], { readonly word: string; readonly tone: Tone }>;

/** What is between the server and the internet, and whether ports opened on its router would be reached. */
export function RouterCard() {
  const { api } = useServices();
  const [report, setReport] = useState<RouterReport | null>(null);
  const going = useRef<AbortController | null>(null);
  useEffect(() => () => going.current?.abort(), []);
  const look = useAction(
    useCallback(async () => {
      going.current = new AbortController();
      setReport(null);
      setReport(await api.until(going.current.signal).askRouter());
    }, [api]),
  );
  return (
    <Card title="This server's router">
      <p className="quiet">
        The server asks the router of its own network what it is, and compares its address outside with what providers
        give: behind CGNAT or a second router no port that is opened there is reached.
      </p>
      <div className="check-form">
        <Button look="primary" busy={look.busy} onClick={() => void look.run()}>
          Look
        </Button>
      </div>
      {/* Always there: what comes into it is read out. */}
      <div role="status" className="router-said">
        {look.busy ? <p className="quiet">Asking the router; it takes some seconds …</p> : null}
        {report === null ? null : <VerdictLine verdict={report.verdict} />}
      </div>
      {look.problem === null ? null : <Notice kind="bad">{look.problem.message}</Notice>}
      {report === null ? null : <Found report={report} />}
    </Card>
  );
}

function VerdictLine({ verdict }: Pick<RouterReport, "verdict">) {
  const { word, tone } = VERDICTS[verdict.kind];
  return (
    <p className="verdict">
      <Pill tone={tone}>{word}</Pill> <span>{verdict.sentence}</span>
    </p>
  );
}

function Found({ report }: { readonly report: RouterReport }) {
  const { routers, name, page, protocols, speaks, externalAddress, uptimeSec, verdict } = report;
  const [first] = routers;
  return (
    <section className="router-found" aria-label="What the router says">
      <Facts
        facts={[
          ["Router", first === undefined ? "none" : `${name ?? "unnamed"} at ${first.address}`],
          // No link: it is the router's own word where it leads.
          ...(page === null ? [] : [["Its page", page] as const]),
          ...(first === undefined ? [] : [["This server", routers.map(placeOf).join(", ")] as const]),
          ...(protocols.length === 0 ? [] : [["Speaks", speaks] as const]),
          ["Address outside, by its word", externalAddress ?? "not known"],
          ...(uptimeSec === null ? [] : [["Runs for", formatAge(uptimeSec * SECOND_MS)] as const]),
        ]}
      />
      <Sentences title="Evidence" sentences={verdict.evidence} />
      <Sentences title="What to do" sentences={verdict.advice} />
      {verdict.sure || first === undefined ? null : (
        <p className="quiet">
          Nobody outside was asked. To be certain, run <code>hatchway router --stun HOST</code> on the server.
        </p>
      )}
    </section>
  );
}

function placeOf({ ownAddress, interfaceName, family }: RouterReport["routers"][number]): string {
  return `${ownAddress} (${interfaceName}${family === 6 ? ", IPv6" : ""})`;
}

function Sentences({ title, sentences }: { readonly title: string; readonly sentences: readonly string[] }) {
  if (sentences.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul className="sentences">
        {sentences.map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </>
  );
}
