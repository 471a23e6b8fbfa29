import { useCallback, useEffect, useRef, useState } from "react";
import type { Device, SshKey, SshServer } from "../../api.ts";
import { sshCommand } from "../../ssh/command.ts";
import { HostKey } from "../../ssh/host-key.tsx";
import { type Resource, useList } from "../../state/resource.ts";
import { useIsAdmin, useMayChange, useServices } from "../../state/services.tsx";
import { Card, Failure, Loading, Pill } from "../../ui/bits.tsx";
import { Button } from "../../ui/button.tsx";
import { CopyLine } from "../../ui/copy.tsx";
import { AddSshKey } from "./add-ssh-key.tsx";
import { SshKeys } from "./ssh-keys.tsx";

/** When a key was used last, and whether its device is gone, is somebody else's doing. */
const KEYS_MS = 10_000;

interface SshPartProps {
  /** `server` null: it does not serve SSH clients. */
  readonly ssh: Resource<{ readonly server: SshServer | null }>;
  readonly devices: readonly Device[];
}

/** Devices that need no agent: the keys of plain ssh. */
export function SshPart({ ssh: { value, failure, reload }, devices }: SshPartProps) {
  if (value === null) {
    return failure === null ? (
      <Loading what="what ssh may do" />
    ) : (
      <Failure message={failure} onRetry={() => void reload()} />
    );
  }
  return value.server === null ? <NoSsh /> : <Keys server={value.server} devices={devices} />;
}

function NoSsh() {
  const isAdmin = useIsAdmin();
  return (
    <Card title="Plain ssh">
      <p className="quiet">
        {isAdmin ? (
          <>
            This relay does not serve plain ssh: to let machines in that have no agent, add <code>[ssh]</code> to its
            hatchway.toml and start it again.
          </>
        ) : (
          "This relay does not serve plain ssh: ask an administrator, who can turn it on in its hatchway.toml."
        )}
      </p>
    </Card>
  );
}

function Keys({ server, devices }: { readonly server: SshServer; readonly devices: readonly Device[] }) {
  const { api } = useServices();
  const mayChange = useMayChange();
  const keys = useList(api.listSshKeys, KEYS_MS);
  useOnChange(connectedIn(devices), keys.reload);
  const [added, setAdded] = useState<SshKey | null>(null);
  const onAdded = useCallback(
    (key: SshKey) => {
      setAdded(key);
      return keys.reload();
    },
    [keys.reload],
  );
  return (
    <Card title="Plain ssh">
      <p className="quiet">
        A machine that has ssh opens ports without an agent. Its key says which device it is, and the private half never
        leaves it.
      </p>
      {mayChange ? <AddSshKey devices={devices} onAdded={onAdded} /> : null}
      {added === null ? null : <Added added={added} server={server} devices={devices} onClose={() => setAdded(null)} />}
      <KeyList keys={keys} />
      <div className="by-ssh">
        <HostKey server={server} />
      </div>
    </Card>
  );
}

function connectedIn(devices: readonly Device[]): string {
  return devices.flatMap(({ id, connected }) => (connected ? [id] : [])).join();
}

/** Who has come or gone has used a key, or has lost it. */
function useOnChange(seen: string, act: () => Promise<void>): void {
  const last = useRef(seen);
  useEffect(() => {
    if (last.current === seen) return;
    last.current = seen;
    void act();
  }, [seen, act]);
}

function KeyList({ keys }: { readonly keys: Resource<readonly SshKey[]> }) {
  if (keys.failure !== null) return <Failure message={keys.failure} onRetry={() => void keys.reload()} />;
  if (keys.value === null) return <Loading what="the SSH keys" />;
  return <SshKeys keys={keys.value} onRemoved={keys.reload} />;
}

interface AddedProps {
  readonly added: SshKey;
  readonly server: SshServer;
  readonly devices: readonly Device[];
  readonly onClose: () => void;
}

function Added({ added: { device, ports }, server, devices, onClose }: AddedProps) {
  const isIn = devices.some(({ id, connected }) => id === device.id && connected);
  return (
    <section className="made" aria-label={`ssh command of ${device.name}`}>
      <p>
        On <strong>{device.name}</strong>, where the private key is, run this. It makes port 80 there public, until
        Ctrl-C.
      </p>
      <CopyLine text={sshCommand(server, ports)} label="the ssh command" />
      <p className="quiet">
        <code>-R 0:localhost:80</code> takes a port that the relay chooses and keeps for {device.name}.
      </p>
      {isIn ? <Pill tone="ok">{device.name} is connected</Pill> : null}
      <Button onClick={onClose}>Done</Button>
    </section>
  );
}
