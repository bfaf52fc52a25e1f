"""Where decisions are archived, as it is written and as it is taken."""

import pytest

LEAST = "[client_ip]\ntrusted_proxies = []\n"


def test_the_archive_lies_beside_the_store_where_nothing_is_said(load_text, tmp_path) -> None:
    settings = load_text(LEAST)
    assert settings.archive_url == f"sqlite:///{tmp_path}/var/decisions.db"
    moved = load_text(LEAST + '[store]\nurl = "sqlite:////srv/data/gateway.db"')
    assert moved.archive_url == "sqlite:////srv/data/decisions.db"


def test_decisions_are_kept_and_shipped_segments_for_a_week_where_nothing_is_said(load_text) -> None:
    archive = load_text(LEAST).archive
    assert archive.ship == "process"
    assert (archive.keep_s, archive.keep_journal_s, archive.journal_at_most) == (None, 7 * 86_400, None)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("sqlite:////srv/decisions.db", "sqlite:////srv/decisions.db"),
        ("postgresql://gateway:secret@db/decisions", "postgresql://gateway:secret@db/decisions"),
        ("none", None),
    ],
)
def test_an_address_is_taken_as_it_is_said(load_text, url, taken) -> None:
    assert load_text(f'{LEAST}[archive]\nurl = "{url}"').archive_url == taken


def test_a_relative_path_begins_where_the_file_lies(load_text, tmp_path) -> None:
    settings = load_text(f'{LEAST}[archive]\nurl = "sqlite:///kept/decisions.db"')
    assert settings.archive_url == f"sqlite:///{tmp_path}/kept/decisions.db"


def test_everything_that_can_be_said_is_read(load_text) -> None:
    archive = load_text(f"""{LEAST}
        [archive]
        ship = "thread"
        keep = "400d"
        keep_journal = "2h"
        journal_at_most = "20GiB"
        warn_behind = "5m"
    """).archive
    assert archive.ship == "thread"
    assert (archive.keep_s, archive.keep_journal_s) == (400 * 86_400, 7200)
    assert (archive.journal_at_most, archive.warn_behind_s) == (20 * 1024**3, 300)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('url = "mysql://db/decisions"', "archive.url: must be `sqlite:///PATH`"),
        ('url = "sqlite://decisions.db"', "archive.url: must be `sqlite:///PATH`"),
        ('url = "sqlite:///decisions.db?mode=ro"', "archive.url: must be `sqlite:///PATH`"),
        ('url = "postgresql://"', "archive.url: must be `sqlite:///PATH`"),
        ('keep = "1s"', "archive.keep: should be greater than or equal to 3600"),
        ('keep_journal = "1s"', "archive.keep_journal: should be greater than or equal to 60"),
        ('journal_at_most = "20GB"', "archive.journal_at_most: unknown unit of size `GB`: did you mean `GiB`?"),
        ('ship = "never"', "archive.ship"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(refusal, text, line) -> None:
    (said,) = refusal(f"{LEAST}[archive]\n{text}")
    assert line in said


def test_a_secret_address_is_not_shown(load_text) -> None:
    settings = load_text(f'{LEAST}[archive]\nurl = "postgresql://gateway:pa55word@db/decisions"')
    assert "pa55word" not in repr(settings)
