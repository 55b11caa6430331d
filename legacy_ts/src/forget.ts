/** The rules of deleting one memory, and the history entry that it leaves. */
import type { Connection } from "./database.ts";

export interface Actor {
  readonly changedBy: string;
  readonly type: string;
  readonly sessionId: string | null;
  readonly requestId: string | null;
}

export interface Forget {
  readonly id: string;
  readonly reason: string;
  readonly force: boolean;
  readonly ifVersion: number | null;
  readonly actor: Actor;
}

/** Also the fields of the reply, in its order. */
export type ForgetOutcome =
  | { readonly status: "not_found" }
  | { readonly status: Refusal; readonly currentVersion: number }
  | { readonly status: "deleted"; readonly currentVersion: number; readonly newVersion: number };

type Refusal = "already_deleted" | "version_conflict" | "pinned_requires_force" | "autonomous_force_denied";

interface Row {
  readonly content: string;
  readonly pinned: number;
  readonly version: number;
  readonly is_deleted: number;
}

const ROW = "SELECT content, pinned, version, is_deleted FROM memories WHERE id = ?";

/** Runs in the caller's transaction. */
export function forgetMemory(connection: Connection, forget: Forget): ForgetOutcome {
  const row = connection.get<Row>(ROW, [forget.id]);
  if (!row) return { status: "not_found" };
  const refusal = refuse(row, forget);
  if (refusal) return { status: refusal, currentVersion: row.version };

  const { id, actor } = forget;
  const now = new Date().toISOString();
  connection.run(
    `UPDATE memories SET is_deleted = 1, deleted_at = ?, updated_at = ?, updated_by = ?, version = version + 1
     WHERE id = ?`,
    [now, now, actor.changedBy, id],
  );
  recordDeletion(connection, forget, row.content, now);
  return { status: "deleted", currentVersion: row.version, newVersion: row.version + 1 };
}

function refuse(row: Row, { force, ifVersion, actor }: Forget): Refusal | null {
  if (row.is_deleted === 1) return "already_deleted";
  if (ifVersion !== null && ifVersion !== row.version) return "version_conflict";
  if (row.pinned !== 1) return null;
  if (!force) return "pinned_requires_force";
  return actor.type === "pipeline" ? "autonomous_force_denied" : null;
}

function recordDeletion(connection: Connection, forget: Forget, content: string, now: string): void {
  const { id, reason, force, ifVersion, actor } = forget;
  connection.run(
    `INSERT INTO memory_history
       (id, memory_id, event, old_content, new_content, changed_by, reason, metadata, created_at, actor_type,
        session_id, request_id)
     VALUES (?, ?, 'deleted', ?, NULL, ?, ?, ?, ?, ?, ?, ?)`,
    [
      crypto.randomUUID(),
      id,
      content,
      actor.changedBy,
      reason,
      JSON.stringify({ force, ifVersion }),
      now,
      actor.type,
      actor.sessionId,
      actor.requestId,
    ],
  );
}
