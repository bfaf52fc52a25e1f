"""Write-ahead logging of an SQLite file, turned on where several processes may do so at once."""

import sqlite3
import time


def log_ahead(database: sqlite3.Connection, patience_s: float) -> None:
    """Turn write-ahead logging on: readers never wait for a writer. It is a property of the file and stays with it.

    Raise sqlite3.OperationalError where another process is in the way for longer than `patience_s`.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # SQLite does not wait where two processes turn it on at once, whatever the connection's timeout.
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
