import { needOf } from "../need.ts";
import { type Operation, operation, pageRequest } from "../operation.ts";
import { Device, JoinCodeDraft, MadeJoinCode, PageQuery, page } from "../schema.ts";

export const DEVICE_ROUTES: readonly Operation[] = [
  operation({
    id: "listDevices",
    method: "GET",
    path: "/v1/devices",
    tag: "Devices",
    summary: "Lists the devices",
    need: needOf("read"),
    query: PageQuery,
    reply: page(Device),
    run: ({ backend, who, query }) => backend.forwards.listDevices(who, pageRequest(query)),
  }),
  operation({
    id: "getDevice",
    method: "GET",
    path: "/v1/devices/{id}",
    tag: "Devices",
    summary: "Shows a device",
    need: needOf("read"),
    reply: Device,
    run: ({ backend, who, id }) => backend.forwards.getDevice(who, id),
  }),
  operation({
    id: "removeDevice",
    method: "DELETE",
    path: "/v1/devices/{id}",
    tag: "Devices",
    summary: "Ends a device: its sessions, its forwards and its key",
    need: needOf("devices.change"),
    run: ({ backend, who, id }) => backend.forwards.removeDevice(who, id),
  }),
  operation({
    id: "makeJoinCode",
    method: "POST",
    path: "/v1/join-codes",
    tag: "Devices",
    summary: "Makes a code with which a device joins",
    description: "`code` and `command` are shown once.",
    need: needOf("devices.change"),
    body: JoinCodeDraft,
    reply: MadeJoinCode,
    status: 201,
    run: ({ backend, who, body }) => backend.forwards.makeJoinCode(who, body),
  }),
];
