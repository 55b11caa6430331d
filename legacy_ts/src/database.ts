/**
 * The one database of a home: a write connection for the life of the process and a few pooled read connections.
 * Statements are synchronous, so a handler that does not await is atomic towards every other request.
 */
import { Database, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { openSchema } from "./open_schema.ts";
import type { VectorExtension } from "./vector_table.ts";

const READ_POOL_SIZE = 4;
const BUSY_TIMEOUT_PRAGMA = "PRAGMA busy_timeout = 5000";

/** Values as they arrive from JSON. SQLite refuses arrays and objects with an error, which some replies rely on. */
export type Bindings = readonly unknown[];

/** "?, ?, ?" for a list of that length, to stand in `IN (…)`. */
export function marks(values: readonly unknown[]): string {
  return values.map(() => "?").join(", ");
}

export class Connection {
  constructor(readonly sqlite: Database) {}

  all<Row>(sql: string, bindings: Bindings = []): Row[] {
    return this.execute(sql, (statement) => statement.all(...(bindings as SQLQueryBindings[])) as Row[]);
  }

  get<Row>(sql: string, bindings: Bindings = []): Row | null {
    return this.execute(sql, (statement) => statement.get(...(bindings as SQLQueryBindings[])) as Row | null);
  }

  run(sql: string, bindings: Bindings = []): void {
    this.execute(sql, (statement) => statement.run(...(bindings as SQLQueryBindings[])));
  }

  // Finalized at once: the texts vary with the length of lists, and an open statement would keep a closed file open.
  private execute<Result>(sql: string, use: (statement: Statement) => Result): Result {
    const statement = this.sqlite.prepare(sql);
    try {
      return use(statement);
    } finally {
      statement.finalize();
    }
  }
}

export class MemoryDatabase {
  private readonly idle: Connection[] = [];
  private readonly writer: Connection;

  /** Opens the file, creates it when missing, and brings schema, full-text and vector tables into shape. */
  constructor(
    private readonly path: string,
    private readonly vectors: VectorExtension,
  ) {
    const sqlite = new Database(path);
    sqlite.exec("PRAGMA journal_mode = WAL");
    sqlite.exec(BUSY_TIMEOUT_PRAGMA);
    sqlite.exec("PRAGMA synchronous = NORMAL");
    sqlite.exec("PRAGMA temp_store = MEMORY");
    vectors.load(sqlite);
    try {
      openSchema(sqlite, path);
    } catch (error) {
      // A refused database is left as it was found, without the files of an open write-ahead log.
      sqlite.close();
      throw error;
    }
    vectors.prepareTable(sqlite);
    this.writer = new Connection(sqlite);
  }

  read<Result>(query: (connection: Connection) => Result): Result {
    const connection = this.idle.pop() ?? this.openReader();
    try {
      return query(connection);
    } finally {
      if (this.idle.length < READ_POOL_SIZE) this.idle.push(connection);
      else connection.sqlite.close();
    }
  }

  /** Runs `change` between BEGIN IMMEDIATE and COMMIT; an error rolls back and is thrown on. */
  write<Result>(change: (connection: Connection) => Result): Result {
    this.writer.sqlite.exec("BEGIN IMMEDIATE");
    try {
      const result = change(this.writer);
      this.writer.sqlite.exec("COMMIT");
      return result;
    } catch (error) {
      this.writer.sqlite.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    for (const connection of this.idle.splice(0)) connection.sqlite.close();
    this.writer.sqlite.close();
  }

  private openReader(): Connection {
    const sqlite = new Database(this.path, { readonly: true });
    sqlite.exec(BUSY_TIMEOUT_PRAGMA);
    this.vectors.load(sqlite);
    return new Connection(sqlite);
  }
}
