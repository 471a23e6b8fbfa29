import type { ComponentProps } from "react";

interface ButtonProps extends ComponentProps<"button"> {
  /** primary: what the page is for. plain: the rest. quiet: in a row. danger: takes something away. */
  readonly look?: "primary" | "plain" | "quiet" | "danger";
  /** Its work goes on; it says so, and takes no second press. */
  readonly busy?: boolean;
}

export function Button({ look = "plain", busy = false, className, onClick, children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      className={`button button-${look}${className === undefined ? "" : ` ${className}`}`}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      // Not `disabled`: that would take the focus away from who pressed it.
      onClick={busy ? (event) => event.preventDefault() : onClick}
    >
      {children}
    </button>
  );
}
