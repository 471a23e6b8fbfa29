import type { Settings } from "../../api.ts";
import { formatAgo, formatBytes } from "../../format.ts";
import { useNow } from "../../state/resource.ts";
import { Card } from "../../ui/bits.tsx";
import { Facts } from "../../ui/facts.tsx";

/** What this server is, and how it becomes a newer one: by its operator's hand, for it asks nobody whether there is one. */
export function AboutCard({ settings }: { readonly settings: Settings }) {
  const { version, bunVersion, license, startedMs, dataDirectory, dataBytes } = settings;
  const nowMs = useNow();
  return (
    <Card title="About and updates">
      <Facts
        facts={[
          ["Version", `Hatchway ${version}`],
          ["Runs since", formatAgo(startedMs, nowMs)],
          ["Data", <Path key="data" path={dataDirectory} more={formatBytes(dataBytes)} />],
          ["Runtime", `Bun ${bunVersion}`],
          ["Licence", license],
          [
            "API",
            <a key="api" href="/docs/api">
              Reference on this server
            </a>,
          ],
        ]}
      />
      <p>
        Hatchway asks nobody by itself whether there is a newer version. On this server, these say whether a place that
        you trust has one, and how this installation is replaced:
      </p>
      <pre className="commands">
        <code>{"hatchway upgrade --check\nhatchway upgrade"}</code>
      </pre>
      <p className="quiet">Visitors of the relay are cut while it starts again; devices come back by themselves.</p>
    </Card>
  );
}

function Path({ path, more }: { readonly path: string; readonly more: string }) {
  return (
    <>
      <code>{path}</code> <span className="quiet">({more})</span>
    </>
  );
}
