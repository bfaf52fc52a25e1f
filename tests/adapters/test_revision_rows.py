"""Rows of revisions inside a transaction: a step is stored over the version that it was made of, or not at all."""

import pytest
import sqlalchemy as sa

from gateway.adapters.revision_rows import (
    active_revision,
    insert_revision,
    open_revision,
    read_revision,
    said_of_start,
    waiting_revisions,
    write_revision,
)
from gateway.adapters.schema import METADATA
from gateway.adapters.ticket_rows import Doing
from gateway.desk.revision import Revision
from gateway.desk.revision_lifecycle import RevisionState

DRAFT = Revision(0, "a" * 64, None, "Eve", "the first", False, "", 1, 2, None)
DOING = Doing("Eve", 1, "propose", "the first")


@pytest.fixture
def connection():
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as found:
        yield found
    engine.dispose()


def test_numbers_follow_each_other_and_texts_are_kept_once(connection) -> None:
    one = insert_revision(connection, DRAFT, {"a.yaml": "x"}, {}, DOING)
    write_revision(connection, one, one._replace(state=RevisionState.DECLINED, version=2), DOING)
    two = insert_revision(connection, DRAFT, {"a.yaml": "x"}, {}, DOING)
    assert (one.number, two.number) == (1, 2)
    assert connection.execute(sa.text("SELECT count(*) FROM bundles")).scalar_one() == 1
    assert read_revision(connection, 2) == two
    assert open_revision(connection, DRAFT.digest) == two


def test_what_waits_and_what_decides_is_found_by_its_state(connection) -> None:
    one = insert_revision(connection, DRAFT, {"a.yaml": "x"}, {}, DOING)
    assert (active_revision(connection), waiting_revisions(connection)) == (None, [one])
    active = write_revision(connection, one, one._replace(state=RevisionState.ACTIVE, version=2), DOING)
    assert (active_revision(connection), waiting_revisions(connection)) == (active, [])


def test_the_same_texts_cannot_be_open_twice_whoever_writes(connection) -> None:
    insert_revision(connection, DRAFT, {"a.yaml": "x"}, {}, DOING)
    with pytest.raises(sa.exc.IntegrityError):
        insert_revision(connection, DRAFT, {"a.yaml": "x"}, {}, DOING)


def test_a_step_over_another_version_is_a_fault(connection) -> None:
    one = insert_revision(connection, DRAFT, {"a.yaml": "x"}, {}, DOING)
    with pytest.raises(AssertionError):
        write_revision(connection, one._replace(version=5), one._replace(version=6), DOING)


def test_when_it_starts_is_said_as_an_instant() -> None:
    assert said_of_start(DRAFT) is None
    assert said_of_start(DRAFT._replace(starts_at=0)) == "1970-01-01T00:00:00.000000Z"
