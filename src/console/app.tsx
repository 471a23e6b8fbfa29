import { useCallback, useEffect, useMemo, useState } from "react";
import { type Api, ApiProblem, createApi, type Me, type ServerRole, type Session, sentenceOf } from "./api.ts";
import { RemovalsProvider } from "./forwards/removals.tsx";
import { AccountPage } from "./pages/account.tsx";
import { AppPortsPage } from "./pages/app-ports.tsx";
import { AuditPage } from "./pages/audit.tsx";
import { ChecksPage } from "./pages/checks.tsx";
import { DevicesPage } from "./pages/devices.tsx";
import { ForwardingPage } from "./pages/forwarding.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { PeoplePage } from "./pages/people.tsx";
import { RedeemPage } from "./pages/redeem.tsx";
import { SettingsPage } from "./pages/settings.tsx";
import { Gate, NotSetUpPage, SignInPage } from "./pages/sign-in.tsx";
import { TrafficPage } from "./pages/traffic.tsx";
import { VisitsPage } from "./pages/visits.tsx";
import { PATHS, type PageName, pageAt } from "./paths.ts";
import { Link, navigate, usePath } from "./router.tsx";
import { Shell } from "./shell.tsx";
import { LiveStore } from "./state/live.ts";
import { ServicesProvider } from "./state/services.tsx";
import { Empty, Failure, Loading, PageHead } from "./ui/bits.tsx";
import { ToastProvider } from "./ui/toaster.tsx";

type Who =
  | { readonly kind: "asking" }
  | { readonly kind: "nobody"; readonly note: string | null }
  | { readonly kind: "not-set-up" }
  | { readonly kind: "person"; readonly me: Me; readonly roles: readonly ServerRole[] }
  | { readonly kind: "unreachable"; readonly message: string };

const ENDED = "Your session has ended: sign in again.";

export function App() {
  const [who, setWho] = useState<Who>({ kind: "asking" });
  const { api, live } = useMemo(() => {
    const made = createApi(() => setWho({ kind: "nobody", note: ENDED }));
    return { api: made, live: new LiveStore(made) };
  }, []);
  const page = pageAt(usePath());

  const ask = useCallback(async () => {
    setWho({ kind: "asking" });
    try {
      const { me } = await api.getSession();
      setWho({ kind: "person", me, roles: (await api.getOverview()).roles });
    } catch (error) {
      setWho(await whoAfter(api, error));
    }
  }, [api]);
  useEffect(() => void ask(), [ask]);

  const roles = who.kind === "person" ? who.roles : null;
  useEffect(() => {
    if (roles === null) return;
    live.start(roles);
    return () => live.stop();
  }, [live, roles]);

  const begin = async ({ me }: Session) => {
    if (page === "signIn") navigate(PATHS.overview, { replace: true });
    setWho({ kind: "asking" });
    try {
      setWho({ kind: "person", me, roles: (await api.getOverview()).roles });
    } catch (error) {
      setWho(await whoAfter(api, error));
    }
  };
  const signOut = async () => {
    try {
      await api.signOut();
      setWho({ kind: "nobody", note: null });
    } catch (error) {
      setWho(await whoAfter(api, error));
    }
  };
  const refreshMe = async () => {
    const me = await api.getMe();
    setWho((now) => (now.kind === "person" ? { ...now, me } : now));
  };

  if (page === "setup" || page === "invite" || page === "reset") {
    return <RedeemPage key={page} api={api} kind={page} onSession={(session) => void begin(session)} />;
  }
  switch (who.kind) {
    case "asking":
      return <Loading what="who you are" />;
    case "unreachable":
      return (
        <Gate>
          <PageHead title="No answer" />
          <Failure message={who.message} onRetry={() => void ask()} />
        </Gate>
      );
    case "not-set-up":
      return <NotSetUpPage />;
    case "nobody":
      return <SignInPage api={api} onSession={(session) => void begin(session)} note={who.note} />;
    case "person":
      return (
        <ServicesProvider services={{ api, live, me: who.me, roles: who.roles, refreshMe }}>
          <ToastProvider>
            <RemovalsProvider>
              <Shell page={page} onSignOut={signOut}>
                <PageOf key={page} page={page} me={who.me} roles={who.roles} />
              </Shell>
            </RemovalsProvider>
          </ToastProvider>
        </ServicesProvider>
      );
    default:
      return who satisfies never;
  }
}

async function whoAfter(api: Api, error: unknown): Promise<Who> {
  if (!(error instanceof ApiProblem) || error.problem.status !== 401)
    return { kind: "unreachable", message: sentenceOf(error) };
  try {
    return (await api.getSetup()).needed ? { kind: "not-set-up" } : { kind: "nobody", note: null };
  } catch (again) {
    return { kind: "unreachable", message: sentenceOf(again) };
  }
}

interface PageOfProps {
  readonly page: PageName | null;
  readonly me: Me;
  readonly roles: readonly ServerRole[];
}

function PageOf({ page, me, roles }: PageOfProps) {
  switch (page) {
    case "overview":
    case "signIn":
    case "setup":
    case "invite":
    case "reset":
      return <OverviewPage />;
    case "forwards":
      return <ForwardingPage />;
    case "devices":
      return <DevicesPage />;
    case "appPorts":
      return roles.includes("gateway") ? <AppPortsPage /> : <NoPage />;
    case "visits":
      return <VisitsPage />;
    case "traffic":
      return <TrafficPage />;
    case "checks":
      return <ChecksPage />;
    case "people":
      return <PeoplePage />;
    case "audit":
      return me.role === "admin" ? <AuditPage /> : <NoPage />;
    case "settings":
      return me.role === "admin" ? <SettingsPage /> : <NoPage />;
    case "account":
      return <AccountPage />;
    case null:
      return <NoPage />;
    default:
      return page satisfies never;
  }
}

function NoPage() {
  return (
    <>
      <PageHead title="No such page" />
      <Empty icon="question" title="There is nothing at this address">
        <Link to={PATHS.overview}>Go to the overview</Link>
      </Empty>
    </>
  );
}
