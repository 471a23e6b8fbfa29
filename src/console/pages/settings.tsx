import { useResource } from "../state/resource.ts";
import { useServices } from "../state/services.tsx";
import { Failure, Loading, PageHead } from "../ui/bits.tsx";
import { AboutCard } from "./settings/about-card.tsx";
import { BackupCard } from "./settings/backup-card.tsx";
import { InForceCard } from "./settings/in-force-card.tsx";
import { RestoreCard } from "./settings/restore-card.tsx";

/** The server itself, for administrators. */
export function SettingsPage() {
  const { api } = useServices();
  const settings = useResource(api.getSettings);
  const { value, failure, reload } = settings;
  return (
    <>
      <PageHead
        title="Settings"
        lead="The server itself: what it is, what is set, and how it is kept and brought back."
      />
      {failure === null ? null : <Failure message={failure} onRetry={() => void reload()} />}
      {value === null ? (
        failure === null ? (
          <Loading what="the settings" />
        ) : null
      ) : (
        <>
          <AboutCard settings={value} />
          <InForceCard settings={value} onReloaded={reload} />
          <BackupCard />
          <RestoreCard />
        </>
      )}
    </>
  );
}
