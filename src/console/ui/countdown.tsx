import { formatLeft } from "../format.ts";

interface CountdownProps {
  readonly untilMs: number;
  readonly nowMs: number;
}

/** The time left. As wide at each second, so that nothing beside it moves; and no screen reader hears it tick. */
export function Countdown({ untilMs, nowMs }: CountdownProps) {
  return (
    <time className="countdown" dateTime={new Date(untilMs).toISOString()}>
      {formatLeft(untilMs - nowMs)}
    </time>
  );
}
