/** The token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1); null = the header says none. */
export function bearerToken(authorization: string | null): string | null {
  return /^Bearer +(.*)$/i.exec(authorization ?? "")?.[1] ?? null;
}
