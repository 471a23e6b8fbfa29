import { encode } from "uqr";

interface QrProps {
  readonly text: string;
  /** What a screen reader says instead of the picture. */
  readonly label: string;
}

/** Dark on light in both themes: readers of authenticator apps want it so. One path; a module is one unit. */
export function Qr({ text, label }: QrProps) {
  const { data, size } = encode(text, { ecc: "M", border: 2 });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <path d={path} />
    </svg>
  );
}
