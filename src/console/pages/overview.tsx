import type { Device, Forward, Overview, VpnPeer } from "../api.ts";
import { count, formatAge, formatBytes } from "../format.ts";
import { isByApp } from "../forwards/origin.ts";
import { openedText } from "../forwards/site-draft.ts";
import { STATE_WORDS, sourcesWords } from "../forwards/words.ts";
import { PATHS } from "../paths.ts";
import { Link } from "../router.tsx";
import { TRAFFIC_POINTS, type TrafficPoint } from "../state/live-data.ts";
import { useNow, useResource } from "../state/resource.ts";
import { useHasRole, useLive, useServices } from "../state/services.tsx";
import { Card, Empty, Failure, Loading, Notice, PageHead, Pill } from "../ui/bits.tsx";
import { Sparkline } from "../ui/sparkline.tsx";
import { isHeard } from "../vpn/peer-words.ts";
import { GatewayCard } from "./overview/gateway-card.tsx";

const EVERY_MS = 10_000;
const MAX_LISTED = 12;

/** What is open, to whom, whether it is well, and what passes now. */
export function OverviewPage() {
  const { api, live } = useServices();
  const { forwards, devices, peers, traffic, failure } = useLive();
  const nowMs = useNow();
  const overview = useResource(api.getOverview, EVERY_MS);
  const now = overview.value;
  return (
    <>
      <PageHead
        title="Overview"
        lead={
          now === null
            ? undefined
            : `${now.publicHost ?? "No address for visitors yet"}: version ${now.version}, up for ${formatAge(nowMs - now.startedMs)}.`
        }
      />
      {overview.failure === null ? null : <Failure message={overview.failure} onRetry={() => void overview.reload()} />}
      {failure === null ? null : <Failure message={failure} onRetry={live.retryNow} />}
      {now === null || forwards === null || devices === null ? (
        overview.failure === null && failure === null ? (
          <Loading what="how things are" />
        ) : null
      ) : (
        <>
          <Figures forwards={forwards} devices={devices} peers={peers} traffic={traffic} nowMs={nowMs} />
          <Health forwards={forwards} devices={devices} />
          <OpenTo forwards={forwards} />
          {now.gateway === null ? null : <GatewayCard gateway={now.gateway} />}
          <ServerCard now={now} />
        </>
      )}
    </>
  );
}

function ServerCard({ now }: { readonly now: Overview }) {
  const { visitorsTotal, bytesIn, bytesOut } = now.counters;
  return (
    <Card title={now.roles.includes("relay") ? "This relay" : "This server"}>
      <dl className="facts">
        {now.publicHost === null ? null : (
          <>
            <dt>Visitors come to</dt>
            <dd>{now.publicHost}</dd>
          </>
        )}
        <dt>Public ports</dt>
        <dd className="ports">{now.ports}</dd>
        {now.listen === null ? null : (
          <>
            <dt>Agents connect to</dt>
            <dd className="ports">{now.listen}</dd>
          </>
        )}
        <dt>Since its start</dt>
        <dd>
          {count(visitorsTotal, "visitor")}, {formatBytes(bytesIn)} in, {formatBytes(bytesOut)} out
        </dd>
        {now.memoryBytes === null ? null : (
          <>
            <dt>Memory</dt>
            <dd>{formatBytes(now.memoryBytes)}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}

interface FiguresProps {
  readonly forwards: readonly Forward[];
  readonly devices: readonly Device[];
  /** Null: no gateway. */
  readonly peers: readonly VpnPeer[] | null;
  readonly traffic: readonly TrafficPoint[];
  readonly nowMs: number;
}

function Figures({ forwards, devices, peers, traffic, nowMs }: FiguresProps) {
  const isRelay = useHasRole("relay");
  const last = traffic.at(-1);
  const open = forwards.filter(({ state }) => state === "open").length;
  const connected = devices.filter((device) => device.connected).length;
  const visitors = last?.visitorsOpen ?? forwards.reduce((sum, { counters }) => sum + counters.visitorsOpen, 0);
  return (
    <div className="figures">
      <Link to={PATHS.forwards} className="figure">
        <span className="figure-name">Forwards open</span>
        <span className="figure-value">
          {open} <small>of {forwards.length}</small>
        </span>
      </Link>
      {isRelay ? (
        <Link to={PATHS.devices} className="figure">
          <span className="figure-name">Devices connected</span>
          <span className="figure-value">
            {connected} <small>of {devices.length}</small>
          </span>
        </Link>
      ) : null}
      {peers === null ? null : (
        <>
          <Link to={PATHS.devices} className="figure">
            <span className="figure-name">Peers connected</span>
            <span className="figure-value">
              {peers.filter((peer) => isHeard(peer, nowMs)).length} <small>of {peers.length}</small>
            </span>
          </Link>
          <Link to={PATHS.appPorts} className="figure">
            <span className="figure-name">Opened by apps</span>
            <span className="figure-value">{forwards.filter(isByApp).length}</span>
          </Link>
        </>
      )}
      <Link to={PATHS.visits} className="figure">
        <span className="figure-name">Visitors now</span>
        <span className="figure-value">{visitors}</span>
        <Sparkline
          values={traffic.map(({ visitorsOpen }) => visitorsOpen)}
          slots={TRAFFIC_POINTS}
          label="Visitors in the last minute"
        />
      </Link>
      <div className="figure">
        <span className="figure-name">Traffic now</span>
        <span className="figure-value">
          {formatBytes((last?.bytesInPerSec ?? 0) + (last?.bytesOutPerSec ?? 0))}
          <small>/s</small>
        </span>
        <Sparkline
          values={traffic.map(({ bytesInPerSec, bytesOutPerSec }) => bytesInPerSec + bytesOutPerSec)}
          slots={TRAFFIC_POINTS}
          label="Traffic in the last minute"
        />
      </div>
    </div>
  );
}

function Health({ forwards, devices }: { readonly forwards: readonly Forward[]; readonly devices: readonly Device[] }) {
  const ill = forwards.filter(({ state }) => state !== "open" && state !== "disabled");
  const away = devices.filter(({ connected }) => !connected);
  const awayNames = away.map(({ name }) => name).slice(0, MAX_LISTED);
  return (
    <Card title="Health">
      {ill.length === 0 && away.length === 0 ? (
        <Notice kind="ok">
          {devices.length === 0
            ? "Every forward that is on is open."
            : "Every forward that is on is open, and every device is connected."}
        </Notice>
      ) : null}
      {away.length === 0 ? null : (
        <Notice kind="warn">
          {count(away.length, "device is", "devices are")} away: {awayNames.join(", ")}
          {away.length > awayNames.length ? " …" : ""}
        </Notice>
      )}
      {ill.length === 0 ? null : (
        <ul className="plain-list">
          {ill.slice(0, MAX_LISTED).map((forward) => (
            <li key={forward.id}>
              <Pill tone={STATE_WORDS[forward.state].tone}>{STATE_WORDS[forward.state].word}</Pill>
              <strong className="name">{forward.name}</strong>
              <span className="quiet">{forward.message ?? openedText(forward)}</span>
            </li>
          ))}
        </ul>
      )}
      <Unlisted of={ill.length} />
    </Card>
  );
}

/** How many forwards a list leaves out, and where they are. */
function Unlisted({ of }: { readonly of: number }) {
  if (of <= MAX_LISTED) return null;
  return (
    <p className="quiet">
      … and {of - MAX_LISTED} more in <Link to={PATHS.forwards}>Port forwarding</Link>.
    </p>
  );
}

/** Those that anyone may come to stand first. */
function OpenTo({ forwards }: { readonly forwards: readonly Forward[] }) {
  const open = forwards
    .filter(({ state }) => state === "open")
    .toSorted((a, b) => Number(a.allow.length > 0) - Number(b.allow.length > 0));
  return (
    <Card title="Open, and to whom">
      {open.length === 0 ? (
        <Empty icon="forwards" title="Nothing is open">
          <p>
            Open ports in <Link to={PATHS.forwards}>Port forwarding</Link>.
          </p>
        </Empty>
      ) : (
        <ul className="plain-list open-list">
          {open.slice(0, MAX_LISTED).map((forward) => (
            <li key={forward.id}>
              <span className="ports">{openedText(forward).replaceAll(/,\s*/g, ", ")}</span>
              <strong className="name">{forward.name}</strong>
              <span className="quiet">on {forward.device.name}</span>
              <span className={forward.allow.length === 0 ? "to-anyone" : ""}>to {sourcesWords(forward)}</span>
            </li>
          ))}
        </ul>
      )}
      <Unlisted of={open.length} />
    </Card>
  );
}
