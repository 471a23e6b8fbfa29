import { type MouseEvent, type ReactNode, useSyncExternalStore } from "react";

const MOVED = "popstate";

function subscribe(onMove: () => void): () => void {
  window.addEventListener(MOVED, onMove);
  return () => window.removeEventListener(MOVED, onMove);
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}

/** `replace`: the page before is not to be come back to, as a one-time link that is used up. */
export function navigate(path: string, options: { readonly replace?: boolean } = {}): void {
  if (options.replace === true) window.history.replaceState(null, "", path);
  else if (path !== window.location.pathname) window.history.pushState(null, "", path);
  window.dispatchEvent(new PopStateEvent(MOVED));
}

interface LinkProps {
  readonly to: string;
  readonly current?: boolean;
  readonly className?: string;
  readonly onFollow?: () => void;
  readonly children: ReactNode;
}

/** A link that stays one: in a new tab or window it goes the browser's own way. */
export function Link({ to, current, className, onFollow, children }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
    onFollow?.();
  };
  return (
    <a href={to} className={className} aria-current={current === true ? "page" : undefined} onClick={follow}>
      {children}
    </a>
  );
}
