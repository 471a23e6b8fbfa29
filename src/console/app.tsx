import { useCallback, useEffect, useMemo, useState } from "react";
import { Api, ApiProblem, type Me, type Session, sentenceOf } from "./api.ts";
import { RemovalsProvider } from "./forwards/removals.tsx";
import { AccountPage } from "./pages/account.tsx";
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
  | { readonly kind: "person"; readonly me: Me }
  | { readonly kind: "unreachable"; readonly message: string };

const ENDED = "Your session has ended: sign in again.";

export function App() {
  const [who, setWho] = useState<Who>({ kind: "asking" });
  const { api, live } = useMemo(() => {
    const made = new Api(() => setWho({ kind: "nobody", note: ENDED }));
    return { api: made, live: new LiveStore(made) };
  }, []);
  const page = pageAt(usePath());

  const ask = useCallback(async () => {
    setWho({ kind: "asking" });
    try {
      setWho({ kind: "person", me: (await api.session()).me });
    } catch (error) {
      setWho(await whoAfter(api, error));
    }
  }, [api]);
  useEffect(() => void ask(), [ask]);

  const signedIn = who.kind === "person";
  useEffect(() => {
    if (!signedIn) return;
    live.start();
    return () => live.stop();
  }, [live, signedIn]);

  const begin = (session: Session) => {
    if (page === "signIn") navigate(PATHS.overview, { replace: true });
    setWho({ kind: "person", me: session.me });
  };
  const signOut = async () => {
    try {
      await api.signOut();
      setWho({ kind: "nobody", note: null });
    } catch (error) {
      setWho(await whoAfter(api, error));
    }
  };
  const refreshMe = async () => setWho({ kind: "person", me: await api.me() });

  if (page === "setup" || page === "invite" || page === "reset") {
    return <RedeemPage key={page} api={api} kind={page} onSession={begin} />;
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
      return <SignInPage api={api} onSession={begin} note={who.note} />;
    case "person":
      return (
        <ServicesProvider services={{ api, live, me: who.me, refreshMe }}>
          <ToastProvider>
            <RemovalsProvider>
              <Shell page={page} onSignOut={signOut}>
                <PageOf key={page} page={page} me={who.me} />
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
  if (!(error instanceof ApiProblem) || error.status !== 401)
    return { kind: "unreachable", message: sentenceOf(error) };
  try {
    return (await api.isSetupNeeded()) ? { kind: "not-set-up" } : { kind: "nobody", note: null };
  } catch (again) {
    return { kind: "unreachable", message: sentenceOf(again) };
  }
}

function PageOf({ page, me }: { readonly page: PageName | null; readonly me: Me }) {
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
