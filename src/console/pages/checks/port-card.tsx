import { useRef, useState } from "react";
import type { Forward } from "../../api.ts";
import { CheckPanel, VerdictPill } from "../../forwards/check-panel.tsx";
import { useChecks } from "../../forwards/use-checks.ts";
import { Card } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { ForwardField } from "./forward-field.tsx";

interface AllState {
  readonly done: number;
  readonly all: number;
}

/** Whether visitors get in, and if not, at which hop it fails: of one forward, or of all one after the other. */
export function PortCard({ forwards }: { readonly forwards: readonly Forward[] }) {
  const checks = useChecks();
  const [chosen, setChosen] = useState("");
  const [all, setAll] = useState<AllState | null>(null);
  const stopped = useRef(false);
  const forward = forwards.find(({ id }) => id === chosen) ?? forwards[0];
  if (forward === undefined) return null;
  const tested = forwards.flatMap((one) => {
    const check = checks.of(one.id);
    return check === null ? [] : [{ forward: one, check }];
  });
  const on = forwards.filter(({ enabled }) => enabled);
  const testAll = async () => {
    stopped.current = false;
    for (const [done, one] of on.entries()) {
      if (stopped.current) break;
      setAll({ done, all: on.length });
      await checks.run(one.id);
    }
    setAll(null);
  };
  return (
    <Card title="Port check">
      <p className="quiet">
        The relay comes to the port as a visitor would, and says which hop fails. A firewall before the relay is not
        seen from there.
      </p>
      <div className="check-form">
        <ForwardField label="Forward to test" forwards={forwards} value={forward.id} onValue={setChosen} />
        <Button look="primary" onClick={() => void checks.run(forward.id)}>
          Test
        </Button>
        {all === null ? (
          <Button onClick={() => void testAll()}>Test all</Button>
        ) : (
          <Button
            onClick={() => {
              stopped.current = true;
            }}
          >
            Stop
          </Button>
        )}
      </div>
      <p role="status" className={all === null ? "visually-hidden" : "quiet"}>
        {all === null ? "" : `${all.done} of ${all.all} tested …`}
      </p>
      {tested.length === 0 ? null : (
        <ul className="tested">
          {tested.map(({ forward: { id, name, device }, check }) => (
            <li key={id}>
              <details open={tested.length === 1 || (check.kind === "done" && check.report.state !== "open")}>
                <summary>
                  <strong className="name">{name}</strong> <span className="quiet">{device.name}</span>{" "}
                  {check.kind === "done" ? (
                    <VerdictPill state={check.report.state} />
                  ) : (
                    <span className="quiet">{check.kind === "running" ? "…" : "could not be tested"}</span>
                  )}
                </summary>
                <CheckPanel
                  name={name}
                  check={check}
                  onAgain={() => void checks.run(id)}
                  onClose={() => checks.forget(id)}
                />
              </details>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
