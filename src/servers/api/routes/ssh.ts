import { ApiFailure, type SshBackend } from "../backend.ts";
import { needOf } from "../need.ts";
import { type Asked, type Operation, operation, pageRequest } from "../operation.ts";
import { PageQuery, page, Ssh, SshKey, SshKeyDraft } from "../schema.ts";
import { id } from "../shapes.ts";

const KeysQuery = PageQuery.extend({
  /** Name or id: the keys of this one alone. */
  device: id.exactOptional(),
});

export const SSH_ROUTES: readonly Operation[] = [
  operation({
    id: "getSsh",
    method: "GET",
    path: "/v1/ssh",
    tag: "SSH",
    summary: "Says how SSH clients know the relay",
    description: "`knownHosts` is a line for known_hosts: with it, nobody is asked at first contact.",
    need: needOf("read"),
    reply: Ssh,
    run: async ({ backend, who }) => ({ server: (await backend.ssh?.server(who)) ?? null }),
  }),
  operation({
    id: "listSshKeys",
    method: "GET",
    path: "/v1/ssh/keys",
    tag: "SSH",
    summary: "Lists the keys by which SSH clients are let in",
    need: needOf("read"),
    query: KeysQuery,
    reply: page(SshKey),
    run: ({ who, query: { device, ...rest }, ...asked }) =>
      sshOf(asked).listKeys(who, pageRequest(rest), { device: device ?? null }),
  }),
  operation({
    id: "addSshKey",
    method: "POST",
    path: "/v1/ssh/keys",
    tag: "SSH",
    summary: "Lets the holder of a key in, as a device",
    description: "A device that is there gets the key as well as those it has; of another name, one is made.",
    need: needOf("devices.change"),
    body: SshKeyDraft,
    reply: SshKey,
    status: 201,
    run: ({ who, body, ...asked }) => sshOf(asked).addKey(who, body),
  }),
  operation({
    id: "removeSshKey",
    method: "DELETE",
    path: "/v1/ssh/keys/{id}",
    tag: "SSH",
    summary: "Lets a key in no more: its connections end at once, with their ports",
    description:
      "By its fingerprint. The last key of a device without an agent takes the device with it: see `endsDevice`.",
    need: needOf("devices.change"),
    run: ({ who, id: fingerprint, ...asked }) => sshOf(asked).removeKey(who, fingerprint),
  }),
];

function sshOf({ backend: { ssh } }: Pick<Asked<unknown>, "backend">): SshBackend {
  if (ssh === null) throw new ApiFailure("not-found", "This server is no relay: SSH clients connect to relays.");
  return ssh;
}
