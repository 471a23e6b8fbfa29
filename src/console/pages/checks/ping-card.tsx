import { useState } from "react";
import type { Forward } from "../../api.ts";
import { count, formatMs } from "../../format.ts";
import { Card, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { SelectField } from "../../ui/field.tsx";
import { type Figures, figuresOf } from "./figures.ts";
import { ForwardField } from "./forward-field.tsx";
import { PingPlot } from "./ping-plot.tsx";
import { type PingRun, usePing } from "./use-ping.ts";

const LENGTHS = [
  { value: "10", label: "10 seconds" },
  { value: "30", label: "30 seconds" },
  { value: "60", label: "1 minute" },
] as const;
type Length = (typeof LENGTHS)[number]["value"];

/** How long the way to a service takes, beside the link that it goes through. */
export function PingCard({ forwards: all }: { readonly forwards: readonly Forward[] }) {
  const { run, start, stop } = usePing();
  const [chosen, setChosen] = useState("");
  const [length, setLength] = useState<Length>("30");
  // What the kernel leads to a client goes through no tunnel.
  const forwards = all.filter(({ way }) => way === "relay");
  const usual = forwards.find((one) => one.state === "open" && !isUdpAlone(one)) ?? forwards[0];
  const forward = forwards.find(({ id }) => id === chosen) ?? usual;
  const measured = forwards.find(({ id }) => id === run?.id);
  if (forward === undefined) return null;
  const isRunning = run?.state === "running";
  return (
    <Card title="Ping plot">
      <p className="quiet">
        The link from the relay to the device, and the time until the device is connected to the service, as a visitor
        waits for it. A connection a second is opened and ended at once.
      </p>
      <div className="check-form">
        <ForwardField label="Forward to measure" forwards={forwards} value={forward.id} onValue={setChosen} />
        <SelectField label="For" value={length} onValue={setLength} options={LENGTHS} />
        {isRunning ? (
          <Button onClick={stop}>Stop</Button>
        ) : (
          <Button look="primary" onClick={() => start(forward.id, Number(length))}>
            Measure
          </Button>
        )}
      </div>
      {isUdpAlone(forward) ? (
        <Notice kind="info">
          This forward is UDP alone: a service need not answer a datagram, so it cannot be measured that way.
        </Notice>
      ) : null}
      {run === null ? null : <Result run={run} name={measured?.name ?? "a forward that is gone"} />}
    </Card>
  );
}

function isUdpAlone({ endpoints }: Forward): boolean {
  return endpoints.length > 0 && endpoints.every(({ protocol }) => protocol === "udp");
}

function Result({ run, name }: { readonly run: PingRun; readonly name: string }) {
  const { samples, slots, state, failure } = run;
  if (failure !== null) return <Notice kind="bad">{failure}</Notice>;
  const link = figuresOf(samples.map(({ linkMs }) => linkMs));
  const service = figuresOf(samples.map(({ serviceMs }) => serviceMs));
  const lost = [...new Set(samples.flatMap((sample) => (sample.lost === null ? [] : [sample.lost])))];
  const summary = `Link: median ${formatMs(link.medianMs)}. Service: median ${formatMs(service.medianMs)}, ${service.lost} of ${service.sent} lost.`;
  return (
    <section className="ping-result" aria-label={`Measurement of ${name}`}>
      {/* Told at the beginning and at the end, and not every second. */}
      <p role="status">
        <strong className="name">{name}</strong>{" "}
        {state === "running"
          ? "is being measured …"
          : state === "done"
            ? `was measured. ${summary}`
            : `stopped. ${summary}`}
      </p>
      <PingPlot samples={samples} slots={slots} label={`Times of ${name}. ${summary}`} />
      <div className="figures">
        <FigureBlock name="Link to the device" figures={link} />
        <FigureBlock name="Service through the tunnel" figures={service} />
      </div>
      {lost.length === 0 ? null : <p className="quiet">Lost: {lost.join(", ")}.</p>}
    </section>
  );
}

function FigureBlock({ name, figures }: { readonly name: string; readonly figures: Figures }) {
  const { medianMs, p90Ms, sent, lost } = figures;
  return (
    <div className="figure">
      <span className="figure-name">{name}</span>
      <span className="figure-value">{formatMs(medianMs)}</span>
      <span className="quiet">
        median; p90 {formatMs(p90Ms)}; {lost} of {count(sent, "sample")} lost
      </span>
    </div>
  );
}
