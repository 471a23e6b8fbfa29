import { newEntryPorts } from "../core/table.ts";
import { type Capability, missingCapabilities } from "../os/capabilities.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { interfaceNames } from "../os/interfaces.ts";
import { areaLogger } from "../os/log.ts";
import { type DataPaths, openDataDirectory } from "../os/paths.ts";
import { becomeUser, giveDirectory, makeRootDirectory, mayUse, ownerOf } from "../os/privileges.ts";
import { loadReflection } from "../os/reflection.ts";
import { findUser, type SystemUser } from "../os/users.ts";
import { serveGatewayControl } from "../servers/local/server.ts";
import { StoreFailure } from "../store/failure.ts";
import { openStore, type Store } from "../store/store.ts";
import { takeRestore } from "./backup/start.ts";
import {
  type ConsoleSettings,
  ControlError,
  type GatewayControl,
  type RunningGateway,
  type StartGateway,
} from "./control.ts";
import { refuseUnsafeEnvironment } from "./environment.ts";
import { HelperClient, helperKernel } from "./gateway/helper/client.ts";
import { type SpawnedHelper, spawnHelper } from "./gateway/helper/spawn.ts";
import { refuseIncomplete, refuseUnfit } from "./gateway/interfaces.ts";
import { Gateway, type GatewayParts } from "./gateway/run.ts";
import { startingGateway } from "./starting.ts";

/** Who parses what comes from the network, when nobody is named. */
const USERS = ["hatchway", "nobody"];
/** Up to here a port takes CAP_NET_BIND_SERVICE; 0 is any free one, which is above. */
const LAST_LOW_PORT = 1_023;

/** To become the user; to make the helper's directory; to take all others from the helper; and those that the helper keeps. */
const CAPABILITIES: readonly Capability[] = [
  "CAP_SETUID",
  "CAP_SETGID",
  "CAP_DAC_OVERRIDE",
  "CAP_SETPCAP",
  "CAP_NET_ADMIN",
  "CAP_DAC_READ_SEARCH",
];

/**
 * Runs a gateway. Root starts it; what stays root is the helper that holds the kernel's part. This process becomes an
 * ordinary user before it opens a socket that the network reaches.
 */
export const startGateway: StartGateway = async ({
  dataDir,
  readSettings,
  relayPorts,
  logFormat = "human",
  configFile = null,
}) => {
  refuseUnsafeEnvironment();
  if (process.geteuid?.() !== 0) {
    const message = "Run the gateway as root: it changes the kernel's forwarding, and keeps root for that alone.";
    throw new ControlError("usage", message);
  }
  const settings = await readSettings();
  refuseIncomplete(settings, settings.vpnWanted);
  refuseUnfit(settings, interfaceNames(), null);
  const user = userFor(settings.user);
  const consoleAt = settings.console;
  // A relay may have public ports below 1024, and so may a console.
  const lowPorts =
    relayPorts !== undefined ||
    (consoleAt !== null && consoleAt.listen.port > 0 && consoleAt.listen.port <= LAST_LOW_PORT);
  // systemd may have given the data directory to the user (StateDirectory=).
  const mustGive = ownerOf(dataDir) !== user.uid;
  refusePowerless([
    ...(mustGive ? (["CAP_CHOWN"] as const) : []),
    ...CAPABILITIES,
    ...(lowPorts ? (["CAP_NET_BIND_SERVICE"] as const) : []),
  ]);
  const paths = await openDataDirectory(dataDir);
  if (!paths.ok) throw new ControlError("usage", paths.error.message);
  // What is loaded when it is first needed may be out of the user's reach by then.
  await Promise.all([import("../servers/local/routes.ts"), import("./config/load.ts")]);
  // A relay's console shows both.
  if (relayPorts !== undefined) await loadRelayConsole();
  const console = consoleAt === null ? null : await prepared(consoleAt);
  const given = giveDirectory(paths.value.directory, user, [paths.value.sites]);
  if (!given.ok) throw new ControlError("usage", given.error);
  const own = makeRootDirectory(paths.value.privileged);
  if (!own.ok) throw new ControlError("usage", own.error);
  const helper = spawnHelper(paths.value.privileged, logFormat);
  try {
    const became = becomeUser(user, { lowPorts });
    if (!became.ok) throw new ControlError("failed", became.error);
    refuseOutOfReach(paths.value.directory, user);
    const ports = relayPorts ?? newEntryPorts();
    return await startOn(helper, paths.value, { settings, readSettings, ports, console, configFile });
  } catch (error) {
    await helper.end();
    throw error;
  }
};

/** A console with all that it needs, and what opens it: many gateways have none, and it takes a moment to load. */
async function prepared(settings: ConsoleSettings): Promise<NonNullable<GatewayParts["console"]>> {
  await loadReflection();
  const { openGatewayConsole, prepareConsole } = await import("./gateway/console.ts");
  const ready = await prepareConsole(settings, wallMs());
  return (options) => openGatewayConsole({ ...options, prepared: ready });
}

async function loadRelayConsole(): Promise<void> {
  await loadReflection();
  await Promise.all([import("./gateway/console.ts"), import("./relay/console.ts")]);
}

async function startOn(
  helper: SpawnedHelper,
  paths: DataPaths,
  given: Pick<GatewayParts, "settings" | "readSettings" | "ports" | "console" | "configFile">,
): Promise<RunningGateway> {
  const log = areaLogger("gateway");
  const client = new HelperClient(helper.socket);
  const control = Promise.withResolvers<GatewayControl>();
  // A start that fails is told by its own error; a local request that waits for it, if any, hears of it as well.
  control.promise.catch(() => undefined);
  const local = serveGatewayControl(startingGateway(control.promise), {
    path: paths.gatewaySocket,
    onUnexpected: (error) => log.error("a local request failed: {error}", { error: String(error) }),
  });
  let store: Store | null = null;
  let gateway: Gateway | null = null;
  try {
    await takeRestore(paths, "gateway", (message) => log.warn("{message}", { message }));
    store = await openStore(paths.database);
    gateway = new Gateway({
      store,
      local,
      kernel: helperKernel(client),
      helperEnded: client.ended,
      endHelper: () => helper.end(),
      ...given,
      dataDir: paths.directory,
      nowMs: monotonicMs,
      wallMs,
    });
    await gateway.start();
    control.resolve(gateway.control());
    return gateway.running();
  } catch (error) {
    const failure = error instanceof StoreFailure ? new ControlError("failed", error.message, { cause: error }) : error;
    control.reject(failure);
    if (gateway !== null) await gateway.stop({ clean: false });
    else {
      await local.close();
      await store?.close();
    }
    throw failure;
  }
}

/** Root in a container or a unit may lack what makes it root. */
function refusePowerless(needed: readonly Capability[]): void {
  const missing = missingCapabilities(needed);
  if (missing.length === 0) return;
  const all = new Intl.ListFormat("en").format(missing);
  const message = `The gateway lacks ${all}, which this container or service does not leave to root: add them (docker's --cap-add, systemd's CapabilityBoundingSet).`;
  throw new ControlError("usage", message);
}

/** For its lock, its socket and its database; asked as the user. */
function refuseOutOfReach(directory: string, { name }: SystemUser): void {
  if (mayUse(directory)) return;
  const message = `The gateway runs as user ${name}, who cannot use ${directory}: chown it, let others through the directories above it (chmod o+x), or name another with --data.`;
  throw new ControlError("usage", message);
}

function userFor(name: string | null): SystemUser {
  const user = findUser(name === null ? USERS : [name]);
  if (user !== null && user.uid !== 0) return user;
  const message =
    user === null
      ? `There is no user ${name ?? USERS.join(" or ")}: make one, or name another with user in [gateway].`
      : "The gateway does not run as root: name another user in [gateway].";
  throw new ControlError("usage", message);
}
