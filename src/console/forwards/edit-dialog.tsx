import { useEffect, useState } from "react";
import { type Forward, PROBLEM_TYPES, type SiteOffer, sentenceOf, type Versioned } from "../api.ts";
import { useAction } from "../state/action.ts";
import { useServices } from "../state/services.tsx";
import { Loading, Notice } from "../ui/bits.tsx";
import { Button } from "../ui/button.tsx";
import { Modal } from "../ui/dialog.tsx";
import { type ForwardFields, fieldsOf, patchOf } from "./draft.ts";
import { ForwardForm } from "./forward-form.tsx";
import type { Targets } from "./target.ts";

interface EditDialogProps {
  readonly forward: Forward;
  readonly targets: Targets;
  readonly publicHost: string | null;
  readonly offer: SiteOffer | null;
  readonly onClose: () => void;
  readonly onSaved: (forward: Forward) => void;
}

/** Changes a forward as it was when the dialog opened: what somebody else changed meanwhile is not overwritten. */
export function EditDialog({ forward, targets, publicHost, offer, onClose, onSaved }: EditDialogProps) {
  const { api } = useServices();
  const [read, setRead] = useState<Versioned<Forward> | null>(null);
  const [fields, setFields] = useState<ForwardFields | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [turn, setTurn] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn reads it again
  useEffect(() => {
    let wanted = true;
    api
      .getForward(forward.id)
      .then((found) => {
        if (!wanted) return;
        setRead(found);
        setFields(fieldsOf(found.value));
      })
      .catch((error: unknown) => (wanted ? setFailure(sentenceOf(error)) : undefined));
    return () => {
      wanted = false;
    };
  }, [api, forward.id, turn]);

  const saving = useAction(async () => {
    if (read === null || fields === null) return;
    const patch = patchOf(fieldsOf(read.value), fields);
    if (Object.keys(patch).length > 0) onSaved((await api.changeForward(forward.id, patch, read.version)).value);
    onClose();
  });
  const again = () => {
    saving.clear();
    setTurn(turn + 1);
  };
  const changed = saving.problem?.type === PROBLEM_TYPES.changed;

  return (
    <Modal title={`Edit ${forward.name}`} open wide onClose={onClose}>
      {failure === null ? null : <Notice kind="bad">{failure}</Notice>}
      {changed ? (
        <Notice kind="warn" action={<Button onClick={again}>Show it as it is now</Button>}>
          Somebody else changed it since you opened it; nothing of yours was saved.
        </Notice>
      ) : null}
      {fields === null ? (
        failure === null ? (
          <Loading what="the forward" />
        ) : null
      ) : (
        <ForwardForm
          fields={fields}
          onFields={setFields}
          targets={targets}
          publicHost={publicHost}
          offer={offer}
          kinds={false}
          editing={forward.id}
          busy={saving.busy}
          problem={changed ? null : saving.problem}
          onSave={() => void saving.run()}
          onCancel={onClose}
        />
      )}
    </Modal>
  );
}
