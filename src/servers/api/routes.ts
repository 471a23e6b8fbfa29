import type { Operation } from "./operation.ts";
import { CHECK_ROUTES } from "./routes/checks.ts";
import { DEVICE_ROUTES } from "./routes/devices.ts";
import { FORWARD_ROUTES } from "./routes/forwards.ts";
import { GATEWAY_ROUTES } from "./routes/gateway.ts";
import { ME_ROUTES } from "./routes/me.ts";
import { PEOPLE_ROUTES } from "./routes/people.ts";
import { RELAY_ROUTES } from "./routes/relay.ts";
import { SESSION_ROUTES } from "./routes/session.ts";
import { SETTINGS_ROUTES } from "./routes/settings.ts";
import { SSH_ROUTES } from "./routes/ssh.ts";

/** Every route of the API: the server, the document and the tests are made of this table. */
export const OPERATIONS: readonly Operation[] = [
  ...SESSION_ROUTES,
  ...ME_ROUTES,
  ...PEOPLE_ROUTES,
  ...FORWARD_ROUTES,
  ...DEVICE_ROUTES,
  ...SSH_ROUTES,
  ...GATEWAY_ROUTES,
  ...RELAY_ROUTES,
  ...CHECK_ROUTES,
  ...SETTINGS_ROUTES,
];
