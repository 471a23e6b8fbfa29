import { Collapsible } from "@base-ui/react/collapsible";
import type { Forward } from "../api.ts";
import { CheckField, SelectField, TextField } from "../ui/field.tsx";
import { Icon } from "../ui/icons.tsx";
import type { ForwardFields } from "./draft.ts";

interface MoreFieldsProps {
  readonly fields: ForwardFields;
  /** A kernel does less than a relay: what it does not do is not offered. */
  readonly way: Forward["way"];
  readonly change: (part: Partial<ForwardFields>) => void;
  readonly errorOf: (path: string) => string | null;
}

const PATHS = [
  "to",
  "allow",
  "deny",
  "connections",
  "connectionsPerSource",
  "newPerSource",
  "bandwidth",
  "proxyProtocol",
  "healthCheck",
] as const;

/** What most forwards leave as it is. It opens by itself where the server found something wrong in it. */
export function MoreFields({ fields, way, change, errorOf }: MoreFieldsProps) {
  const isTunnel = way === "relay";
  const wrong = PATHS.some((path) => errorOf(path) !== null);
  const digits = (text: string) => text.replace(/\D/g, "").slice(0, 9);
  return (
    <Collapsible.Root className="more" {...(wrong ? { open: true } : {})}>
      <Collapsible.Trigger className="more-trigger">
        <Icon name="down" />
        {isTunnel ? "More: another host, who may come, limits" : "More: who may come, limits"}
      </Collapsible.Trigger>
      <Collapsible.Panel className="more-panel">
        <div className="form-row">
          {isTunnel ? (
            <TextField
              label="Leads to host"
              value={fields.to}
              onValue={(to) => change({ to })}
              error={errorOf("to")}
              autoComplete="off"
              spellCheck={false}
              placeholder="the device itself"
              hint="A name or address that the device reaches."
            />
          ) : null}
          <TextField
            label="Only from"
            value={fields.allow}
            onValue={(allow) => change({ allow })}
            error={errorOf("allow")}
            autoComplete="off"
            spellCheck={false}
            placeholder="anyone"
            hint="Networks and addresses: 203.0.113.0/24, 2001:db8::7"
          />
          <TextField
            label="Never from"
            value={fields.deny}
            onValue={(deny) => change({ deny })}
            error={errorOf("deny")}
            autoComplete="off"
            spellCheck={false}
            hint="Wins over the field before."
          />
        </div>
        <div className="form-row">
          {isTunnel ? (
            <TextField
              label="Connections at once"
              inputMode="numeric"
              value={fields.connections}
              onValue={(text) => change({ connections: digits(text) })}
              error={errorOf("connections")}
              placeholder="no limit"
            />
          ) : null}
          <TextField
            label={isTunnel ? "… of one visitor" : "Connections of one visitor"}
            inputMode="numeric"
            value={fields.connectionsPerSource}
            onValue={(text) => change({ connectionsPerSource: digits(text) })}
            error={errorOf("connectionsPerSource")}
            placeholder="no limit"
          />
          <TextField
            label="New ones of a visitor"
            value={fields.newPerSource}
            onValue={(newPerSource) => change({ newPerSource })}
            error={errorOf("newPerSource")}
            placeholder="5/s or 300/m"
          />
          {isTunnel ? (
            <TextField
              label="Bandwidth"
              value={fields.bandwidth}
              onValue={(bandwidth) => change({ bandwidth })}
              error={errorOf("bandwidth")}
              placeholder="10 MB/s"
            />
          ) : null}
        </div>
        {isTunnel ? <ServiceFields fields={fields} change={change} errorOf={errorOf} /> : null}
      </Collapsible.Panel>
    </Collapsible.Root>
  );
}

function ServiceFields({ fields, change, errorOf }: Omit<MoreFieldsProps, "way">) {
  return (
    <div className="form-row">
      <SelectField
        label="PROXY protocol"
        value={fields.proxyProtocol}
        onValue={(proxyProtocol) => change({ proxyProtocol })}
        error={errorOf("proxyProtocol")}
        options={[
          { value: "", label: "none" },
          { value: "v1", label: "version 1" },
          { value: "v2", label: "version 2" },
        ]}
        hint="Tells the service the visitor's address; it must expect it."
      />
      <CheckField
        label="Look after the service"
        hint="Closes the entry while the service does not answer."
        checked={fields.healthCheck}
        onChecked={(healthCheck) => change({ healthCheck })}
      />
    </div>
  );
}
