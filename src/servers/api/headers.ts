/** Nothing is loaded but the console's own files, and no page may frame it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PERMISSIONS = ["accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer"]
  .concat("microphone", "midi", "payment", "usb")
  .map((feature) => `${feature}=()`)
  .join(", ");

const ALWAYS: readonly (readonly [string, string])[] = [
  ["content-security-policy", POLICY],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  ["referrer-policy", "no-referrer"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-embedder-policy", "require-corp"],
  ["cross-origin-resource-policy", "same-origin"],
  ["permissions-policy", PERMISSIONS],
];

/** Sets what every answer has. `hstsSec`: null = nothing of HSTS (RFC 6797). */
export function secure(response: Response, hstsSec: number | null): Response {
  for (const [name, value] of ALWAYS) response.headers.set(name, value);
  if (!response.headers.has("cache-control")) response.headers.set("cache-control", "no-store");
  if (hstsSec !== null) response.headers.set("strict-transport-security", `max-age=${hstsSec}`);
  return response;
}
