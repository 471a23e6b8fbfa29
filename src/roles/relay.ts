import { newEntryPorts } from "../core/table.ts";
import { nowMs as wallMs } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { areaLogger } from "../os/log.ts";
import { openDataDirectory } from "../os/paths.ts";
import { type LocalServer, serveRelayControl } from "../servers/local/server.ts";
import { StoreFailure } from "../store/failure.ts";
import { openStore, type Store } from "../store/store.ts";
import { takeRestore } from "./backup/start.ts";
import { loadRelayIdentity } from "./certificates.ts";
import { ControlError, type RelayControl, type StartRelay } from "./control.ts";
import { refuseUnsafeEnvironment } from "./environment.ts";
import { publicHostOf } from "./relay/public-host.ts";
import { Relay } from "./relay/run.ts";
import { startingRelay } from "./starting.ts";

/** Runs a relay: agents connect to it, visitors come in by its public ports. */
export const startRelay: StartRelay = async (options) => {
  const { dataDir, readSettings, ports = newEntryPorts(), gatewayMetrics = null, gatewayBeside = null } = options;
  const { configFile = null, startSuccessor = null } = options;
  refuseUnsafeEnvironment();
  const paths = await openDataDirectory(dataDir);
  if (!paths.ok) throw new ControlError("usage", paths.error.message);
  let settings = await readSettings();
  const log = areaLogger("relay");
  const control = Promise.withResolvers<RelayControl>();
  // A start that fails is told by its own error; a local request that waits for it, if any, hears of it as well.
  control.promise.catch(() => undefined);
  const openLocal = () =>
    serveRelayControl(startingRelay(control.promise), {
      path: paths.value.relaySocket,
      onUnexpected: (error) => log.error("a local request failed: {error}", { error: String(error) }),
    });
  const takeOver = options.takeOver === true ? await beginTakeOver(paths.value.relaySocket) : null;
  let local: LocalServer | null = null;
  let store: Store | null = null;
  let relay: Relay | null = null;
  try {
    local = openLocal();
    // A backup that waits to be put in place replaces what the other process serves: it waits for a start from nothing.
    const restored =
      takeOver === null && (await takeRestore(paths.value, "relay", (message) => log.warn("{message}", { message })));
    // Its config file may have come with it.
    if (restored) settings = await readSettings();
    const identity = await loadRelayIdentity(settings, dataDir, publicHostOf(settings), wallMs());
    store = await openStore(paths.value.database);
    relay = new Relay({
      store,
      succession: {
        local,
        reopenLocal: openLocal,
        upgradeSocket: paths.value.upgradeSocket,
        startSuccessor,
        handedOver: options.handedOver ?? (() => Promise.resolve()),
        takeOver,
      },
      identity,
      settings,
      readSettings,
      ports,
      gatewayMetrics,
      gatewayBeside,
      dataDir: paths.value.directory,
      configFile,
    });
    await relay.start();
    const running = relay.running();
    control.resolve(running);
    return running;
  } catch (error) {
    const failure = error instanceof StoreFailure ? new ControlError("failed", error.message, { cause: error }) : error;
    control.reject(failure);
    if (relay !== null) await relay.stop(0);
    else {
      await local?.close();
      await store?.close();
    }
    takeOver?.close(messageOf(failure));
    throw failure;
  }
};

/** The schemas of the local socket take longer to make than all else of a start, and most starts need none. */
async function beginTakeOver(relaySocket: string) {
  const { TakeOver } = await import("./relay/take-over.ts");
  return TakeOver.begin(relaySocket);
}
