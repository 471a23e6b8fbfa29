import { Fragment } from "react";
import { dropWords } from "../../../wire/drop-words.ts";
import type { Overview } from "../../api.ts";
import { Card, Notice, Pill } from "../../ui/bits.tsx";

/** How the gateway is: its address outside, who may ask it for ports, and what keeps forwards from working. */
export function GatewayCard({ gateway }: { readonly gateway: NonNullable<Overview["gateway"]> }) {
  const { externalAddress, wan, lan, servers, warnings } = gateway;
  const dropped = Object.entries(gateway.dropped).filter(([, packets]) => packets > 0);
  return (
    <Card title="This gateway">
      {warnings.map((warning) => (
        <Notice key={warning} kind="warn">
          {warning}
        </Notice>
      ))}
      <dl className="facts">
        <dt>Its address outside</dt>
        <dd className="ports">{externalAddress ?? "none yet"}</dd>
        <dt>Outside (WAN)</dt>
        <dd className="ports">{wan.join(", ")}</dd>
        {lan.length === 0 ? null : (
          <>
            <dt>Clients (LAN)</dt>
            <dd className="ports">{lan.join(", ")}</dd>
          </>
        )}
        {servers.map(({ name, listening, message }) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>
              <Pill tone={listening ? "ok" : "warn"}>{listening ? "Listening" : "Off"}</Pill>
              {message === null ? null : <span className="sub quiet">{message}</span>}
            </dd>
          </Fragment>
        ))}
        <dt>Dropped from outside</dt>
        <dd>
          {dropped.length === 0
            ? "nothing"
            : dropped.map(([why, packets]) => `${packets.toLocaleString("en")} ${dropWords(why)}`).join(" · ")}
        </dd>
      </dl>
    </Card>
  );
}
