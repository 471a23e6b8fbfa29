import { useState } from "react";
import type { ReloadReport, Settings } from "../../api.ts";
import { useAction } from "../../state/action.ts";
import { useServices } from "../../state/services.tsx";
import { Card, Notice } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { Facts } from "../../ui/facts.tsx";

interface InForceCardProps {
  readonly settings: Settings;
  readonly onReloaded: () => Promise<void>;
}

/** What is set. It is changed in its file, by whoever has the machine. */
export function InForceCard({ settings, onReloaded }: InForceCardProps) {
  const { api } = useServices();
  const [report, setReport] = useState<ReloadReport | null>(null);
  const { relay, console, configFile } = settings;
  const reload = useAction(async () => {
    setReport(null);
    setReport(await api.reload());
    await onReloaded();
  });
  return (
    <Card
      title="Settings in force"
      actions={
        <Button busy={reload.busy} onClick={() => void reload.run()}>
          Reload the config
        </Button>
      }
    >
      {reload.problem === null ? null : <Notice kind="bad">{reload.problem.message}</Notice>}
      {report === null ? null : <Reloaded report={report} />}
      <Facts
        facts={[
          [
            "Config file",
            configFile === null ? (
              "none: defaults, and the options of the command"
            ) : (
              <code key="file">{configFile}</code>
            ),
          ],
          ...(relay === null ? [] : relayFacts(relay)),
          ["This console", `${console.url}, on ${console.listen}${console.tls ? "" : ", without TLS"}`],
          ["Other names of it", console.hosts.length === 0 ? "none" : console.hosts.join(", ")],
          ["Trusted proxies", console.trustedProxies.length === 0 ? "none" : console.trustedProxies.join(", ")],
        ]}
      />
    </Card>
  );
}

function relayFacts(relay: NonNullable<Settings["relay"]>): readonly (readonly [string, string])[] {
  return [
    ["Public host", relay.publicHost],
    ["Agents connect to", relay.listen],
    ["Ports that may be opened", relay.ports],
    ["STUN", relay.stun ? "answered" : "off"],
    ["Certificate", relay.ownCertificate ? "the operator's own" : "made here; agents pin its key"],
    ...(relay.clientCa ? ([["Agents need", "a certificate of the operator's CA"]] as const) : []),
  ];
}

/** What a reload did, in words. */
function Reloaded({ report }: { readonly report: ReloadReport }) {
  const { added, changed, removed, refused, needRestart } = report;
  const parts = [
    ["Changed", changed],
    ["Added", added],
    ["Removed", removed],
    ["Refused", refused],
    ["Counts after a restart", needRestart],
  ] as const;
  const told = parts.filter(([, keys]) => keys.length > 0);
  const kind = refused.length > 0 ? "bad" : needRestart.length > 0 ? "warn" : "ok";
  return (
    <Notice kind={kind}>
      <div role="status">
        {told.length === 0 ? (
          <p>The file was read again: nothing in it has changed.</p>
        ) : (
          told.map(([word, keys]) => (
            <p key={word}>
              {word}: {keys.join(", ")}.
            </p>
          ))
        )}
      </div>
    </Notice>
  );
}
