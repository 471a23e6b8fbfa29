import type { ReactNode } from "react";
import type { SiteOffer } from "../api.ts";
import { CheckField, SelectField, TextField } from "../ui/field.tsx";
import { LoginFields } from "./login-fields.tsx";
import type { SiteFields as Fields } from "./site-draft.ts";

interface SiteFieldsProps {
  readonly site: Fields;
  readonly change: (part: Partial<Fields>) => void;
  readonly offer: SiteOffer;
  readonly errorOf: (path: string) => string | null;
  /** Beside the port: where it leads, and what it is called. */
  readonly children: ReactNode;
}

const MAX_DOMAINS = 4;

/** What a site has in place of ports. */
export function SiteFields({ site, change, offer, errorOf, children }: SiteFieldsProps) {
  const { names, port, tls, http2, logins } = site;
  return (
    <>
      <TextField
        label="Name of the site"
        className="site-names"
        value={names}
        onValue={(text) => change({ names: text })}
        error={errorOf("host")}
        hint={namesHint(offer)}
        placeholder="app.example.org"
        inputMode="url"
        autoComplete="off"
        autoCapitalize="off"
        autoCorrect="off"
        spellCheck={false}
      />
      <div className="form-row">
        <TextField
          label="Port of the service"
          className="site-port"
          value={port}
          onValue={(text) => change({ port: text.replace(/\D/g, "").slice(0, 5) })}
          error={errorOf("ports")}
          inputMode="numeric"
          autoComplete="off"
          placeholder="8080"
        />
        {children}
      </div>
      <div className="form-row">
        <SelectField
          label="Certificate (TLS)"
          value={tls}
          onValue={(next) => change({ tls: next })}
          error={errorOf("tls")}
          options={waysOf(offer, tls)}
          hint={TLS_HINTS[tls]}
        />
        {tls === "end" ? (
          <CheckField
            label="The service speaks HTTP/2"
            hint="Without TLS, as gRPC does (h2c)."
            checked={http2}
            onChecked={(next) => change({ http2: next })}
          />
        ) : null}
      </div>
      {tls === "pass" ? null : (
        <LoginFields logins={logins} onLogins={(next) => change({ logins: next })} error={errorOf("logins")} />
      )}
    </>
  );
}

const TLS_HINTS = {
  end: "The relay shows visitors a certificate, and speaks plain HTTP to the service.",
  pass: "Only the service can read what comes; it speaks TLS itself.",
  off: "Everybody on the way can read what comes.",
} as const satisfies Record<Fields["tls"], string>;

/** What the relay has ports for; what is chosen stays to be seen. */
function waysOf({ http, https }: SiteOffer, chosen: Fields["tls"]) {
  const ways = [
    { value: "end", label: "The relay has it", isThere: https !== null },
    { value: "pass", label: "The service has it", isThere: https !== null },
    { value: "off", label: "None: plain HTTP", isThere: http !== null },
  ] as const;
  return ways.filter(({ value, isThere }) => isThere || value === chosen);
}

function namesHint({ domains }: SiteOffer): string {
  if (domains.length === 0) return "This relay has no names for your account: ask its operator for some.";
  const more = domains.length - MAX_DOMAINS;
  const listed = `${domains.slice(0, MAX_DOMAINS).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  return `One, or several with commas. This relay has: ${listed}`;
}
