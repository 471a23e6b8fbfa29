import { type ReactNode, useEffect, useRef } from "react";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icons.tsx";

export type Tone = "ok" | "warn" | "bad" | "quiet";

/** A state in a word; the tone is never the only sign of it. */
export function Pill({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }) {
  return <span className={`pill pill-${tone}`}>{children}</span>;
}

const NOTICE_ICONS = { ok: "check", warn: "warning", bad: "warning", info: "question" } as const satisfies Record<
  string,
  IconName
>;

interface NoticeProps {
  readonly kind: keyof typeof NOTICE_ICONS;
  readonly children: ReactNode;
  readonly action?: ReactNode;
}

export function Notice({ kind, children, action }: NoticeProps) {
  return (
    <div className={`notice notice-${kind}`} role={kind === "bad" ? "alert" : undefined}>
      <Icon name={NOTICE_ICONS[kind]} />
      <div className="notice-text">{children}</div>
      {action}
    </div>
  );
}

interface EmptyProps {
  readonly icon: IconName;
  readonly title: string;
  readonly children: ReactNode;
}

/** What a list says instead of nothing: what would be here, and how it comes. */
export function Empty({ icon, title, children }: EmptyProps) {
  return (
    <div className="empty">
      <Icon name={icon} />
      <p className="empty-title">{title}</p>
      <div className="quiet">{children}</div>
    </div>
  );
}

export function Loading({ what }: { readonly what: string }) {
  return (
    <p className="loading quiet" role="status">
      Reading {what} …
    </p>
  );
}

interface FailureProps {
  readonly message: string;
  readonly onRetry: () => void;
}

export function Failure({ message, onRetry }: FailureProps) {
  return (
    <Notice kind="bad" action={<Button onClick={onRetry}>Try again</Button>}>
      {message}
    </Notice>
  );
}

interface PageHeadProps {
  readonly title: string;
  readonly lead?: ReactNode;
  readonly actions?: ReactNode;
}

/** The heading takes the focus when its page opens, so that a screen reader says where one is. */
export function PageHead({ title, lead, actions }: PageHeadProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Hatchway`;
    heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <header className="page-head">
      <div>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {lead === undefined ? null : <p className="lead quiet">{lead}</p>}
      </div>
      {actions === undefined ? null : <div className="buttons">{actions}</div>}
    </header>
  );
}

interface CardProps {
  readonly title?: string;
  readonly actions?: ReactNode;
  readonly className?: string;
  readonly children: ReactNode;
}

export function Card({ title, actions, className, children }: CardProps) {
  return (
    <section className={`card${className === undefined ? "" : ` ${className}`}`} aria-label={title}>
      {title === undefined ? null : (
        <div className="card-head">
          <h2>{title}</h2>
          {actions}
        </div>
      )}
      {children}
    </section>
  );
}
