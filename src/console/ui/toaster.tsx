import { Toast } from "@base-ui/react/toast";
import type { ReactNode } from "react";
import { Icon } from "./icons.tsx";

export interface Message {
  readonly title: string;
  readonly description?: string;
  readonly bad?: boolean;
  readonly action?: { readonly label: string; readonly act: () => void };
  readonly timeoutMs?: number;
  /** It went without its action. */
  readonly onLeft?: () => void;
}

const TIMEOUT_MS = 6_000;
const MAX_MESSAGES = 3;

export function ToastProvider({ children }: { readonly children: ReactNode }) {
  return (
    <Toast.Provider timeout={TIMEOUT_MS} limit={MAX_MESSAGES}>
      {children}
      <Toast.Portal>
        <Toast.Viewport className="toasts" aria-label="Messages">
          <Toasts />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Toasts() {
  const { toasts } = Toast.useToastManager();
  return toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className="toast" swipeDirection={["down", "right"]}>
      <Toast.Content className="toast-content">
        <div className="toast-text">
          <Toast.Title className="toast-title" render={<p />} />
          <Toast.Description className="toast-description" />
        </div>
        <Toast.Action className="button button-plain" />
        <Toast.Close className="button button-quiet icon-only" aria-label="Close message">
          <Icon name="cross" />
        </Toast.Close>
      </Toast.Content>
    </Toast.Root>
  ));
}

/** Says something beside the page. It waits while it is hovered or has the focus (F6 goes there). */
export function useSay(): (message: Message) => void {
  const manager = Toast.useToastManager();
  return ({ title, description, bad, action, timeoutMs, onLeft }) => {
    let acted = false;
    const id = manager.add({
      title,
      ...(description === undefined ? {} : { description }),
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
      priority: bad === true ? "high" : "low",
      type: bad === true ? "bad" : "ok",
      onClose: () => {
        if (!acted) onLeft?.();
      },
      ...(action === undefined
        ? {}
        : {
            actionProps: {
              children: action.label,
              onClick: () => {
                acted = true;
                manager.close(id);
                action.act();
              },
            },
          }),
    });
  };
}
