"""Triggers of the store, made by the migrations in the words of the database that they run on."""

from typing import Final

from alembic import op

NOTICE: Final = "gateway_changes"
"""The channel on which PostgreSQL says that what is remembered of accounts changed."""
KEPT: Final = 10_000
"""Changes of which the store says whose they were."""
_COUNT: Final = "UPDATE generations SET number = number + 1 WHERE name = 'accounts';"
_NUMBER: Final = "(SELECT number FROM generations WHERE name = 'accounts')"

# The path is that of the migration: whoever changes a row by hand, from wherever, is counted as well.
_REFUSE: Final = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
    END $$
"""
_REFUSE_YOUNG: Final = """
    CREATE FUNCTION refuse_young() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.received_at > (extract(epoch FROM now())::bigint - 200 * 86400) * 1000000 THEN
            RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    END $$
"""
_REFUSE_REWRITING: Final = """
    CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.digest <> NEW.digest OR OLD.number <> NEW.number OR OLD.examined::text <> NEW.examined::text THEN
            RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$
"""
# The update of the one row keeps its lock until the commit: so numbers are given in the order of commits, and whoever
# saw one has seen all before it.
_COUNT_ONE: Final = f"""
    CREATE FUNCTION count_change_of(uid text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        counted bigint;
    BEGIN
        UPDATE generations SET number = number + 1 WHERE name = 'accounts' RETURNING number INTO STRICT counted;
        INSERT INTO changed_accounts VALUES (counted, uid);
        DELETE FROM changed_accounts WHERE number <= counted - {KEPT};
        PERFORM pg_notify('{NOTICE}', '');
    END $$
"""  # noqa: S608 - our own names
_COUNT_ROW: Final = """
    CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        -- An update may give what was one account's to another.
        IF TG_OP <> 'INSERT' THEN
            PERFORM count_change_of(to_jsonb(OLD) ->> TG_ARGV[0]);
        END IF;
        IF TG_OP <> 'DELETE' THEN
            PERFORM count_change_of(to_jsonb(NEW) ->> TG_ARGV[0]);
        END IF;
        RETURN NULL;
    END $$
"""


def is_postgresql() -> bool:
    """Return whether the migration runs on PostgreSQL; else it runs on SQLite."""
    return bool(op.get_context().dialect.name == "postgresql")


def make_functions() -> None:
    """Make what the triggers of PostgreSQL call; those of SQLite say it all themselves."""
    if is_postgresql():
        for function in (_REFUSE, _REFUSE_YOUNG, _REFUSE_REWRITING, _COUNT_ONE, _COUNT_ROW):
            op.execute(function)


def remove_functions() -> None:
    """Remove them again, after the tables."""
    if is_postgresql():
        for function in ("count_change()", "count_change_of(text)", "refuse_rewriting()", "refuse_young()", "refuse()"):
            op.execute(f"DROP FUNCTION {function}")


def refuse(name: str, change: str, table: str, why: str) -> None:
    """Let nobody make this change (`UPDATE` or `DELETE`) of any row."""
    if is_postgresql():
        op.execute(_calling(name, f"BEFORE {change}", table, "refuse", why))
        if change == "DELETE":
            # It removes rows without asking what guards each of them.
            op.execute(
                f"CREATE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION refuse('{why}')"
            )
    else:
        op.execute(f"CREATE TRIGGER {name} BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, '{why}'); END")


def refuse_young(name: str, table: str, why: str) -> None:
    """Let nobody remove a row that was received in the last 200 days.

    By the machine's own clock: whoever removes rows says neither what time it is nor how long they are kept.
    """
    if is_postgresql():
        op.execute(_calling(name, "BEFORE DELETE", table, "refuse_young", why))
        op.execute(
            f"CREATE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION refuse('{why}')"
        )
    else:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE DELETE ON {table} "
            "WHEN OLD.received_at > (CAST(strftime('%s', 'now') AS INTEGER) - 200 * 86400) * 1000000 "
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )


def refuse_rewriting(name: str, table: str, why: str) -> None:
    """Let nobody change what a revision says."""
    if is_postgresql():
        op.execute(_calling(name, "BEFORE UPDATE", table, "refuse_rewriting", why))
    else:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} "
            "WHEN OLD.digest <> NEW.digest OR OLD.number <> NEW.number OR OLD.examined <> NEW.examined "
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )


def count_changes(table: str) -> None:
    """Have SQLite count each change of the table's rows, and not say whose it was."""
    for change in ("INSERT", "UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_count_{change.lower()} AFTER {change} ON {table} BEGIN {_COUNT} END")


def name_changes(table: str, column: str) -> None:
    """Count each change of the table's rows, and write down whose it was, which that column says."""
    for change, rows in (("insert", ("NEW",)), ("update", ("OLD", "NEW")), ("delete", ("OLD",))):
        name = f"{table}_count_{change}"
        if is_postgresql():
            op.execute(_calling(name, f"AFTER {change.upper()}", table, "count_change", column))
        else:
            # An update may give what was one account's to another.
            steps = " ".join(_named(row, column) for row in rows)
            op.execute(f"CREATE TRIGGER {name} AFTER {change} ON {table} BEGIN {steps} END")


def forget_changes(table: str) -> None:
    """Count changes of the table no more."""
    for change in ("insert", "update", "delete"):
        on = f" ON {table}" if is_postgresql() else ""
        op.execute(f"DROP TRIGGER {table}_count_{change}{on}")


def _calling(name: str, when: str, table: str, function: str, argument: str) -> str:
    return f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}('{argument}')"


def _named(row: str, column: str) -> str:
    return (
        f"{_COUNT} INSERT INTO changed_accounts VALUES ({_NUMBER}, {row}.{column}); "  # noqa: S608 - our names
        f"DELETE FROM changed_accounts WHERE number <= {_NUMBER} - {KEPT};"
    )
