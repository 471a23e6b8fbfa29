import type { SshServer } from "../api.ts";
import { CopyLine } from "../ui/copy.tsx";

/** By what ssh knows the relay: to be compared, or put where nobody is asked. */
export function HostKey({ server }: { readonly server: SshServer }) {
  return (
    <>
      <p className="quiet">
        At first contact ssh shows the fingerprint <code className="fingerprint">{server.fingerprint}</code>: say yes to
        no other. With this line in <code>~/.ssh/known_hosts</code> it does not ask.
      </p>
      <CopyLine text={server.knownHosts} label="the line for known_hosts" />
    </>
  );
}
