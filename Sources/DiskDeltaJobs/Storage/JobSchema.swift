internal import GRDB

/// The table of jobs, and how it came to be: a step for each version that changed it.
enum JobSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1: jobs") { database in
            // Times are milliseconds since 1970. `request` and `header` are messages of the protocol. SQLite's integers have a
            // sign, so `offset_sum` stands there by its bits.
            try database.execute(
                sql: """
                    CREATE TABLE job (
                        number       INTEGER PRIMARY KEY AUTOINCREMENT,
                        id           TEXT NOT NULL UNIQUE,
                        owner        TEXT NOT NULL,
                        root         TEXT NOT NULL,
                        request      BLOB NOT NULL,
                        header       BLOB NOT NULL,
                        sector       INTEGER NOT NULL,
                        submitted    INTEGER NOT NULL,
                        state        INTEGER NOT NULL,
                        started      INTEGER,
                        last_change  INTEGER NOT NULL,
                        elapsed      INTEGER NOT NULL,
                        reason       INTEGER NOT NULL,
                        message      TEXT NOT NULL,
                        detail_code  INTEGER NOT NULL,
                        processed    INTEGER NOT NULL,
                        ranges       INTEGER NOT NULL,
                        data_bytes   INTEGER NOT NULL,
                        zero_bytes   INTEGER NOT NULL,
                        offset_sum   INTEGER NOT NULL,
                        spool_length INTEGER NOT NULL,
                        expires      INTEGER
                    ) STRICT;
                    CREATE INDEX job_by_end ON job (state, last_change);
                    """
            )
        }
        migrator.registerMigration("2: checksums") { database in
            // What stands in a row of before is believed as it is.
            try database.execute(
                sql: """
                    ALTER TABLE job ADD COLUMN owner_checksum INTEGER NOT NULL DEFAULT 0;
                    ALTER TABLE job ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
                    """
            )
            for number in try Int64.fetchAll(database, sql: "SELECT number FROM job") {
                let sql = JobRow.selection + " WHERE number = ?"
                guard let row = try Row.fetchOne(database, sql: sql, arguments: [number]) else { continue }
                try JobRow.seal(number, JobRow.values(in: row), in: database)
            }
        }
        return migrator
    }
}
