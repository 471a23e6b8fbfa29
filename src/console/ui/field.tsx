import { type ComponentProps, type ReactNode, useId } from "react";

interface FieldBase {
  readonly label: ReactNode;
  readonly hint?: ReactNode;
  readonly error?: string | null | undefined;
  readonly className?: string;
}

interface FieldProps extends FieldBase {
  /** `describedBy`: the ids of hint and error. */
  readonly children: (ids: {
    readonly id: string;
    readonly describedBy: string | undefined;
    readonly invalid: true | undefined;
  }) => ReactNode;
}

/** A label, what is typed, and what to say of it: tied together for screen readers. */
export function Field({ label, hint, error, className, children }: FieldProps) {
  const id = useId();
  const hasError = error !== undefined && error !== null;
  const describedBy = [hint === undefined ? null : `${id}-hint`, hasError ? `${id}-error` : null]
    .filter((part) => part !== null)
    .join(" ");
  return (
    <div className={`field${className === undefined ? "" : ` ${className}`}`}>
      <label htmlFor={id}>{label}</label>
      {children({ id, describedBy: describedBy === "" ? undefined : describedBy, invalid: hasError || undefined })}
      {hint === undefined ? null : (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {hasError ? (
        <p className="error" id={`${id}-error`} role="alert">
          {error}
        </p>
      ) : null}
    </div>
  );
}

type InputProps = FieldBase &
  Omit<ComponentProps<"input">, "onChange" | "value" | "className"> & {
    readonly value: string;
    readonly onValue: (value: string) => void;
  };

export function TextField({ label, hint, error, className, value, onValue, ...input }: InputProps) {
  return (
    <Field label={label} hint={hint} error={error} {...(className === undefined ? {} : { className })}>
      {({ id, describedBy, invalid }) => (
        <input
          {...input}
          id={id}
          value={value}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          onChange={(event) => onValue(event.target.value)}
        />
      )}
    </Field>
  );
}

type TextAreaProps = FieldBase &
  Omit<ComponentProps<"textarea">, "onChange" | "value" | "className"> & {
    readonly value: string;
    readonly onValue: (value: string) => void;
  };

/** For what is pasted: nothing is mended in it, and a line that is too long goes on in the next. */
export function TextAreaField({ label, hint, error, className, value, onValue, ...area }: TextAreaProps) {
  return (
    <Field label={label} hint={hint} error={error} {...(className === undefined ? {} : { className })}>
      {({ id, describedBy, invalid }) => (
        <textarea
          {...area}
          id={id}
          value={value}
          autoComplete="off"
          autoCapitalize="off"
          autoCorrect="off"
          spellCheck={false}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          onChange={(event) => onValue(event.target.value)}
        />
      )}
    </Field>
  );
}

type SelectProps<V extends string> = FieldBase &
  Omit<ComponentProps<"select">, "onChange" | "value" | "className"> & {
    readonly value: V;
    readonly onValue: (value: V) => void;
    readonly options: readonly { readonly value: V; readonly label: string }[];
  };

/** The browser's own list: known on each device, and by each screen reader. */
export function SelectField<V extends string>(props: SelectProps<V>) {
  const { label, hint, error, className, value, onValue, options, ...select } = props;
  return (
    <Field label={label} hint={hint} error={error} {...(className === undefined ? {} : { className })}>
      {({ id, describedBy, invalid }) => (
        <select
          {...select}
          id={id}
          value={value}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          onChange={(event) => {
            const chosen = options.find((option) => option.value === event.target.value);
            if (chosen !== undefined) onValue(chosen.value);
          }}
        >
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface CheckFieldProps {
  readonly label: ReactNode;
  readonly hint?: ReactNode;
  readonly checked: boolean;
  readonly onChecked: (checked: boolean) => void;
}

export function CheckField({ label, hint, checked, onChecked }: CheckFieldProps) {
  const id = useId();
  return (
    <div className="check-field">
      <input
        type="checkbox"
        id={id}
        checked={checked}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => onChecked(event.target.checked)}
      />
      <label htmlFor={id}>{label}</label>
      {hint === undefined ? null : (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}
