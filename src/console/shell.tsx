import { Dialog } from "@base-ui/react/dialog";
import { type ReactNode, useState } from "react";
import type { ServerRole } from "./api.ts";
import { PATHS, type PageName } from "./paths.ts";
import { Link } from "./router.tsx";
import { useLive, useServices } from "./state/services.tsx";
import { keepTheme, storedTheme, THEMES, type Theme } from "./theme.ts";
import { Notice } from "./ui/bits.tsx";
import { Button } from "./ui/button.tsx";
import { Brand, Icon, type IconName } from "./ui/icons.tsx";

interface NavItem {
  readonly page: PageName;
  readonly title: string;
  readonly icon: IconName;
  readonly adminOnly?: true;
  /** Only a server that is this has it. */
  readonly of?: ServerRole;
}

const NAV: readonly NavItem[] = [
  { page: "overview", title: "Overview", icon: "overview" },
  { page: "forwards", title: "Port forwarding", icon: "forwards" },
  { page: "devices", title: "Devices", icon: "devices" },
  { page: "appPorts", title: "App-opened ports", icon: "apps", of: "gateway" },
  { page: "visits", title: "Live connections", icon: "visits" },
  { page: "traffic", title: "Traffic", icon: "traffic" },
  { page: "checks", title: "Checks", icon: "checks" },
  { page: "people", title: "People and tokens", icon: "people" },
  { page: "audit", title: "Audit", icon: "audit", adminOnly: true },
  { page: "settings", title: "Settings", icon: "settings", adminOnly: true },
  { page: "account", title: "Account", icon: "account" },
];

interface ShellProps {
  readonly page: PageName | null;
  readonly onSignOut: () => Promise<void>;
  readonly children: ReactNode;
}

export function Shell({ page, onSignOut, children }: ShellProps) {
  const [menu, setMenu] = useState(false);
  const nav = <Navigation page={page} onSignOut={onSignOut} onFollow={() => setMenu(false)} />;
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="side">
        <div className="side-head">
          <Brand />
          <Dialog.Root open={menu} onOpenChange={setMenu}>
            <Dialog.Trigger className="button button-plain icon-only menu-button" aria-label="Menu">
              <Icon name="menu" />
            </Dialog.Trigger>
            <Dialog.Portal>
              <Dialog.Backdrop className="backdrop" />
              <Dialog.Popup className="drawer" aria-label="Menu">
                <div className="popup-head">
                  <Brand />
                  <Dialog.Close className="button button-quiet icon-only" aria-label="Close menu">
                    <Icon name="cross" />
                  </Dialog.Close>
                </div>
                {nav}
              </Dialog.Popup>
            </Dialog.Portal>
          </Dialog.Root>
        </div>
        <div className="side-nav">{nav}</div>
      </header>
      <main id="main" className="main" tabIndex={-1}>
        <LinkBanner />
        {children}
      </main>
    </div>
  );
}

interface NavigationProps {
  readonly page: PageName | null;
  readonly onSignOut: () => Promise<void>;
  readonly onFollow: () => void;
}

function Navigation({ page, onSignOut, onFollow }: NavigationProps) {
  const { me, roles } = useServices();
  const items = NAV.filter(
    ({ adminOnly, of }) => (adminOnly !== true || me.role === "admin") && (of === undefined || roles.includes(of)),
  );
  return (
    <>
      <nav aria-label="Pages">
        <ul className="nav">
          {items.map((item) => (
            <li key={item.page}>
              <Link to={PATHS[item.page]} current={item.page === page} className="nav-link" onFollow={onFollow}>
                <Icon name={item.icon} />
                {item.page === "people" && me.role !== "admin" ? "Tokens" : item.title}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="side-foot">
        <ThemeChoice />
        <p className="who">
          <span className="quiet">Signed in as</span> <strong className="name">{me.name}</strong>
        </p>
        <Button onClick={() => void onSignOut()}>Sign out</Button>
      </div>
    </>
  );
}

const THEME_WORDS = { system: "Auto", light: "Light", dark: "Dark" } as const satisfies Record<Theme, string>;

function ThemeChoice() {
  const [theme, setTheme] = useState(storedTheme);
  return (
    <fieldset className="choices">
      <legend className="visually-hidden">Colours</legend>
      {THEMES.map((choice) => (
        <button
          key={choice}
          type="button"
          aria-pressed={choice === theme}
          onClick={() => {
            keepTheme(choice);
            setTheme(choice);
          }}
        >
          {THEME_WORDS[choice]}
        </button>
      ))}
    </fieldset>
  );
}

/** What is shown may be old: it says so. */
function LinkBanner() {
  const { live } = useServices();
  const { link } = useLive();
  if (link !== "lost") return <div role="status" />;
  return (
    <div role="status" className="banner">
      <Notice kind="warn" action={<Button onClick={live.retryNow}>Try now</Button>}>
        The connection to the server is lost. What you see is as it was; it is tried again by itself.
      </Notice>
    </div>
  );
}
