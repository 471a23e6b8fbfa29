import type { Role } from "../../api.ts";

export const ROLES = [
  { value: "user", label: "User: what is their account's" },
  { value: "viewer", label: "Viewer: looks, changes nothing" },
  { value: "admin", label: "Administrator: everything" },
] as const satisfies readonly { readonly value: Role; readonly label: string }[];

export const ROLE_NAMES = { admin: "Administrator", user: "User", viewer: "Viewer" } as const satisfies Record<
  Role,
  string
>;
