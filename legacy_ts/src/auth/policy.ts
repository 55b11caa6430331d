/** What a role may do, and which project, agent or user a token is bound to. */
import type { Claims, Scope } from "./tokens.ts";

export type Permission =
  | "remember"
  | "recall"
  | "modify"
  | "forget"
  | "recover"
  | "admin"
  | "documents"
  | "connectors"
  | "diagnostics"
  | "analytics";

const AGENT: readonly Permission[] = ["remember", "recall", "modify", "forget", "recover", "documents"];
const OPERATOR: readonly Permission[] = [...AGENT, "connectors", "diagnostics", "analytics"];

const PERMISSIONS: ReadonlyMap<string, readonly Permission[]> = new Map([
  ["admin", [...OPERATOR, "admin"]],
  ["operator", OPERATOR],
  ["agent", AGENT],
  ["readonly", ["recall"]],
]);

export const ROLES: readonly string[] = [...PERMISSIONS.keys()];

export const AUTHENTICATION_REQUIRED = "authentication required";

/** Why the permission is refused; null when it is granted. */
export function refusePermission(claims: Claims | null, permission: Permission): string | null {
  if (!claims) return AUTHENTICATION_REQUIRED;
  if (PERMISSIONS.get(claims.role)?.includes(permission)) return null;
  return `role '${claims.role}' lacks '${permission}' permission`;
}

/** Why a token bound to a project may not touch a row of this one; null when it may. Rows without project are free. */
export function refuseProject(claims: Claims, scope: Scope, project: string | null): string | null {
  if (claims.role === "admin" || !scope.project || !project || scope.project === project) return null;
  return `scope restricted to project '${scope.project}'`;
}
