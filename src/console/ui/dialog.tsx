import { AlertDialog } from "@base-ui/react/alert-dialog";
import { Dialog } from "@base-ui/react/dialog";
import { type ReactNode, useRef } from "react";
import { useAction } from "../state/action.ts";
import { Notice } from "./bits.tsx";
import { Button } from "./button.tsx";
import { Icon } from "./icons.tsx";

interface ModalProps {
  readonly title: string;
  readonly description?: ReactNode;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly wide?: boolean;
  readonly children: ReactNode;
}

/** The focus stays inside while it is open, and goes back to where it was. */
export function Modal({ title, description, open, onClose, wide, children }: ModalProps) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={wide === true ? "popup popup-wide" : "popup"}>
          <div className="popup-head">
            <Dialog.Title>{title}</Dialog.Title>
            <Dialog.Close className="button button-quiet icon-only" aria-label="Close">
              <Icon name="cross" />
            </Dialog.Close>
          </div>
          {description === undefined ? null : <Dialog.Description className="quiet">{description}</Dialog.Description>}
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

interface ConfirmProps {
  readonly title: string;
  /** What it takes away, and whether it comes back. */
  readonly description: ReactNode;
  /** The word of the button: what it does. */
  readonly act: string;
  readonly open: boolean;
  readonly onClose: () => void;
  readonly onAct: () => Promise<void>;
}

/** Asks once, before something that cannot be undone. Enter on what has the focus first changes nothing. */
export function Confirm({ title, description, act, open, onClose, onAct }: ConfirmProps) {
  const keep = useRef<HTMLButtonElement>(null);
  const action = useAction(async () => {
    await onAct();
    onClose();
  });
  return (
    <AlertDialog.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="popup" initialFocus={keep}>
          <AlertDialog.Title className="popup-title">{title}</AlertDialog.Title>
          <AlertDialog.Description className="quiet">{description}</AlertDialog.Description>
          {action.problem === null ? null : <Notice kind="bad">{action.problem.message}</Notice>}
          <div className="buttons buttons-end">
            <AlertDialog.Close ref={keep} className="button button-plain">
              Cancel
            </AlertDialog.Close>
            <Button look="danger" busy={action.busy} onClick={() => void action.run()}>
              {act}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
