"""Where files of evidence are kept, as settings say it: what cannot be used is refused without being shown."""

from base64 import b64encode

import pytest

from gateway.app.evidence import evidence_of, files_of
from gateway.config import load
from gateway.core.errors import ConfigError

BUCKET = """
[evidence]
key_file = "evidence.keys"
where = "s3://b/e"
options = { aws_region = "eu-central-1" }
credentials_file = "credentials"
"""


@pytest.fixture
def bucket(site):
    (site.folder / "evidence.keys").write_text(f"2026-11 {b64encode(bytes(32)).decode()}\n")
    site.config.write_text(site.config.read_text() + BUCKET)
    return site


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('aws_secret_access_key = "x', "is not TOML with one option a line"),
        ("aws_secret_access_key = 7", "every option is a text in quotes"),
        ('password = "hunter2"', "option `password`: those begin with aws_"),
    ],
)
def test_credentials_of_a_bucket_that_cannot_be_used_are_refused_unseen(bucket, content, said) -> None:
    (bucket.folder / "credentials").write_text(content)

    for build in (evidence_of, files_of):
        with pytest.raises(ConfigError, match=rf"\[evidence\] .*{said}") as refused:
            build(load(bucket.config))
        assert "hunter2" not in str(refused.value)
        assert str(refused.value).count("[evidence]") == 1


def test_a_bucket_is_built_without_connecting(bucket) -> None:
    (bucket.folder / "credentials").write_text('aws_access_key_id = "a"\naws_secret_access_key = "b"\n')

    assert evidence_of(load(bucket.config)) is not None
    assert files_of(load(bucket.config)) is not None


def test_who_only_removes_files_needs_no_master_key(bucket) -> None:
    (bucket.folder / "credentials").write_text('aws_access_key_id = "a"\naws_secret_access_key = "b"\n')
    (bucket.folder / "evidence.keys").write_text("no key at all\n")

    assert files_of(load(bucket.config)) is not None
    with pytest.raises(ConfigError):
        evidence_of(load(bucket.config))


def test_where_no_evidence_is_taken_there_is_no_place_for_any(site) -> None:
    assert evidence_of(load(site.config)) is None
    assert files_of(load(site.config)) is None
