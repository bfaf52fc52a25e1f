"""Where decisions are recorded and archived, as it is written and as it is taken."""

import pytest

from gateway.config.recording import Keep

LEAST = "[client_ip]\ntrusted_proxies = []\n"


def test_the_archive_lies_beside_the_store_where_nothing_is_said(load_text, tmp_path) -> None:
    settings = load_text(LEAST)
    assert settings.archive_url == f"sqlite:///{tmp_path}/var/decisions.db"
    moved = load_text(LEAST + '[store]\nurl = "sqlite:////srv/data/gateway.db"')
    assert moved.archive_url == "sqlite:////srv/data/decisions.db"


def test_decisions_are_kept_and_shipped_segments_for_a_week_where_nothing_is_said(load_text) -> None:
    archive = load_text(LEAST).archive
    assert archive.ship == "process"
    assert (archive.keep.money_s, archive.keep.refused_s, archive.keep.rest_s) == (None, None, None)
    assert (archive.keep_journal_s, archive.journal_at_most) == (7 * 86_400, None)
    assert (archive.personal, archive.keep_personal_s, archive.digest_key, archive.export) == (
        "clear",
        None,
        None,
        None,
    )


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
    assert archive.keep == Keep(money="400d", refused="400d", rest="400d")
    assert archive.keep_journal_s == 7200
    assert (archive.journal_at_most, archive.warn_behind_s) == (20 * 1024**3, 300)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('url = "mysql://db/decisions"', "archive.url: must be `sqlite:///PATH`"),
        ('url = "sqlite://decisions.db"', "archive.url: must be `sqlite:///PATH`"),
        ('url = "sqlite:///decisions.db?mode=ro"', "archive.url: must be `sqlite:///PATH`"),
        ('url = "postgresql://"', "archive.url: must be `sqlite:///PATH`"),
        ('keep = "1s"', "archive.keep: must be from 1h to 100y; leave it out to keep for ever"),
        ('keep = "101y"', "archive.keep: must be from 1h to 100y"),
        ("keep = 400", 'archive.keep: a duration needs its unit: did you mean `"400s"`?'),
        ('keep = { monye = "5y" }', "archive.keep.monye: unknown key: did you mean `money`?"),
        ('keep = { money = "1m" }', "archive.keep.money: should be greater than or equal to 3600"),
        ('personal = "digest"', 'archive: `personal = "digest"` needs `digest_key`'),
        ('keep_personal = "90d"', "archive: `keep_personal` needs `digest_key`"),
        ('keep_personal = "90d"\npersonal = "digest"', "archive: `keep_personal` is given beside `personal"),
        ('personal = "hash"', "archive.personal: `hash` is not one of `clear`, `digest`"),
        ('export = "days"\nkeep = "1d"', "archive: `export` takes the days that PostgreSQL lets go"),
        ('url = "postgresql://db/d"\nexport = "days"', "archive: `export` takes whole days that are let go"),
        (
            'url = "postgresql://db/d"\nexport = "days"\nkeep = { money = "5y" }',
            "archive: `export` takes whole days that are let go, and none ever is",
        ),
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


def test_kinds_of_decisions_are_kept_for_times_of_their_own(load_text) -> None:
    keep = load_text(f"{LEAST}[archive]\nkeep = {{ money = '5y', rest = '90d' }}").archive.keep

    assert (keep.money_s, keep.refused_s, keep.rest_s) == (5 * 365 * 86_400, None, 90 * 86_400)
    assert not keep.drops_whole_days


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("GATEWAY_ARCHIVE__KEEP", "90d"),
        ("GATEWAY_ARCHIVE__KEEP", '{"money": "90d", "refused": "90d", "rest": "90d"}'),
    ],
)
def test_the_environment_says_it_either_way(load_text, variable, text) -> None:
    keep = load_text(LEAST, {variable: text}).archive.keep

    assert (keep.money_s, keep.refused_s, keep.rest_s) == (90 * 86_400,) * 3
    assert keep.drops_whole_days


def test_one_kind_is_overridden_by_its_own_variable(load_text, refusal) -> None:
    text = f"{LEAST}[archive]\nkeep = {{ money = '5y' }}"

    assert load_text(text, {"GATEWAY_ARCHIVE__KEEP__MONEY": "7y"}).archive.keep.money_s == 7 * 365 * 86_400
    (said,) = refusal(f"{LEAST}[archive]\nkeep = '5y'", {"GATEWAY_ARCHIVE__KEEP__MONEY": "7y"})
    assert said == "GATEWAY_ARCHIVE__KEEP__MONEY: `keep` in the file is not a table"


def test_a_digest_key_is_long_enough_and_never_shown(load_text, refusal, tmp_path) -> None:
    text = f'{LEAST}[archive]\npersonal = "digest"\ndigest_key = "digest.key"'
    (said,) = refusal(text)
    assert said.startswith("gateway.toml: archive.digest_key: no such file `digest.key`")
    (tmp_path / "digest.key").write_text("hunter2-hunter2-hunter2-hunter2\n")
    (said,) = refusal(text)
    assert "has 31 bytes, and 32 or more of randomness are needed" in said
    assert "hunter2" not in said
    (tmp_path / "digest.key").write_bytes(bytes(range(100, 132)))
    archive = load_text(text).archive
    assert (archive.personal, archive.digest_key) == ("digest", tmp_path / "digest.key")


def test_days_are_exported_where_each_kind_ends(load_text, tmp_path) -> None:
    archive = load_text(f"{LEAST}[archive]\nurl = 'postgresql://db/d'\nexport = 'days'\nkeep = '1y'").archive

    assert archive.export == tmp_path / "days"


def test_seals_are_published_nowhere_until_somebody_says_where(load_text) -> None:
    journal = load_text(LEAST).journal

    assert (journal.publishing, journal.compress) == ((), True)


@pytest.mark.parametrize("environ", [{}, {"GATEWAY_JOURNAL__PUBLISH": "elsewhere/seals"}])
def test_one_path_is_one_file_that_seals_are_published_to(load_text, tmp_path, environ) -> None:
    said = "" if environ else '[journal]\npublish = "elsewhere/seals"'
    journal = load_text(LEAST + said, environ).journal

    assert [one.file for one in journal.publishing] == [tmp_path / "elsewhere/seals"]


def test_seals_are_published_to_several_places(load_text, tmp_path) -> None:
    (tmp_path / "webhook").write_text("whsec_c2VjcmV0\n")
    journal = load_text(f"""{LEAST}
        [journal]
        compress = false
        publish = [
            {{ timestamp_url = "http://timestamps.example" }},
            {{ url = "https://seals.example/hook", secret_file = "webhook" }},
            {{ file = "seals" }},
        ]
    """).journal

    stamps, webhook, file = journal.publishing
    assert stamps.timestamp_url == "http://timestamps.example"
    assert (webhook.url, webhook.secret_file) == ("https://seals.example/hook", tmp_path / "webhook")
    assert file.file == tmp_path / "seals"
    assert not journal.compress


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("", "is one place: `file`, `url` or `timestamp_url`; none is given"),
        ('file = "a", timestamp_url = "https://t.example"', "`file` and `timestamp_url` is given"),
        ('url = "https://seals.example"', "`url` needs `secret_file`"),
        ('file = "a", secret_file = "b"', "`secret_file` signs what is posted to `url`; `file` takes none"),
        ('url = "http://seals.example", secret_file = "b"', "publish[0].url: what is posted over http can be read"),
        ('timestamp_url = "https://me:pass@t.example"', "publish[0].timestamp_url: must not carry credentials"),
        ('timestamp_url = "ftp://t.example"', "publish[0].timestamp_url: not a URL"),
        ('url = "https://seals.example", secret_file = "b"', "publish[0].secret_file: no such file `b`"),
        ('flie = "a"', "publish[0].flie: unknown key: did you mean `file`?"),
    ],
)
def test_a_place_to_publish_to_is_whole(refusal, place, line) -> None:
    said = refusal(f"{LEAST}[journal]\npublish = [{{ {place} }}]")

    assert any(line in one and one.startswith("gateway.toml: journal.publish[0]") for one in said), said
