import { encode } from "uqr";

interface QrProps {
  readonly text: string;
  /** What a screen reader says instead of the picture. */
  readonly label: string;
  /** It says a lot: as large as its small squares need. */
  readonly large?: true;
}

/** Dark on light in both themes: readers of authenticator apps want it so. One path; a module is one unit. */
export function Qr({ text, label, large }: QrProps) {
  const { data, size } = encode(text, { ecc: "M", border: 2 });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return (
    <svg
      className={large === true ? "qr qr-large" : "qr"}
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label={label}
      shapeRendering="crispEdges"
    >
      <path d={path} />
    </svg>
  );
}
