import json
from types import SimpleNamespace

import pytest

from gateway.adapters import policy_files
from gateway.adapters.policy_files import UNLICENSED, BundleArchive, library, read_settled, read_sources
from gateway.core.errors import PolicyError, ReplayError
from gateway.policies.bundle import digest_of

POLICY = "policy: p\ntitle: t\nowner: o\nrules: []\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies" / "deep").mkdir(parents=True)
    (tmp_path / "policies" / "b.yaml").write_text(POLICY)
    (tmp_path / "policies" / "a.yml").write_text(POLICY)
    (tmp_path / "policies" / "deep" / "c.yaml").write_text(POLICY)
    (tmp_path / "policies" / "notes.txt").write_text("not a policy")
    (tmp_path / "policies" / ".b.yaml.swp.yaml").write_text("an editor's backup")
    (tmp_path / "policies" / "..2026").mkdir()
    (tmp_path / "policies" / "..2026" / "b.yaml").write_text("what a mounted volume links to")
    return tmp_path


def test_a_folder_is_all_its_policies_at_any_depth(folder):
    found = read_sources(["policies"], folder)
    assert sorted(found) == ["policies/a.yml", "policies/b.yaml", "policies/deep/c.yaml"]
    assert set(found.values()) == {POLICY}


def test_a_file_is_itself_and_named_from_the_base_wherever_that_is(folder):
    assert read_sources(["policies/b.yaml"], folder) == {"policies/b.yaml": POLICY}
    assert read_sources([str(folder / "policies" / "b.yaml")], folder) == {"policies/b.yaml": POLICY}
    assert read_sources(["../b.yaml"], folder / "policies" / "deep") == {"../b.yaml": POLICY}


def test_what_is_named_twice_is_read_once(folder):
    assert len(read_sources(["policies", "policies/b.yaml", folder / "policies"], folder)) == 3


def test_a_byte_order_mark_is_no_text(folder):
    (folder / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + POLICY.encode())
    assert read_sources(["bom.yaml"], folder) == {"bom.yaml": POLICY}


def test_the_library_gives_one_policy_by_name_with_the_lists_it_mentions(tmp_path):
    found = read_sources(["library:us-exit"], tmp_path)
    assert list(found) == ["library:us-exit.yaml", "library:lists/us-territories.yaml"]


def test_the_library_gives_everything(tmp_path):
    found = read_sources(["library:*"], tmp_path)
    assert {f"library:{name}.yaml" for name in library() if not name.startswith(UNLICENSED)} <= set(found)
    assert any(name.startswith("library:lists/") for name in found)


def test_what_an_exchange_lacks_a_licence_for_is_named_by_the_exchange(tmp_path):
    assert any(name.startswith(UNLICENSED) for name in library())
    assert not any(UNLICENSED in name for name in read_sources(["library:*"], tmp_path))
    assert "library:unlicensed-eu.yaml" in read_sources(["library:*", "library:unlicensed-eu"], tmp_path)


def test_a_list_of_the_operator_counts_in_place_of_the_shipped_one(folder):
    (folder / "own.yaml").write_text("list: 'us-territories'\nkind: countries\n")
    assert sorted(read_sources(["library:us-exit", "own.yaml"], folder)) == ["library:us-exit.yaml", "own.yaml"]


def test_a_policy_of_the_operator_may_mention_a_shipped_list(folder):
    (folder / "own.yaml").write_text(f"{POLICY}# country in us_territories\n")
    assert "library:lists/us-territories.yaml" in read_sources(["own.yaml"], folder)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("library:us-exti", "no policy `us-exti` in the shipped library: did you mean `us-exit`?"),
        ("library:../us-exit", "no policy `../us-exit` in the shipped library"),
        ("library:lists/us-territories", "no policy `lists/us-territories` in the shipped library"),
        ("us-exit", "there is no file or folder `us-exit` to read policies from: did you mean `library:us-exit`?"),
        ("policies/us-exit.yaml", "did you mean `library:us-exit`?"),
        ("nothing", "there is no file or folder `nothing` to read policies from"),
        ("empty", "the folder `empty` holds no policy: no file in it ends in .yaml or .yml"),
        ("latin.yaml", "latin.yaml:2:11: not UTF-8 text: it seems to be Latin-1, so save the file as UTF-8"),
        ("huge.yaml", "huge.yaml: longer than 256 KiB; is this a policy?"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_what_was_meant(folder, path, message):
    (folder / "empty").mkdir()
    (folder / "latin.yaml").write_bytes(b"title: t\nowner: caf\xe9\n")
    (folder / "huge.yaml").write_bytes(b"#" * (4 * 256 * 1024 + 1))
    with pytest.raises(PolicyError) as caught:
        read_sources([path], folder)
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(folder, monkeypatch):
    def locked(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(folder), "open", locked)
    with pytest.raises(PolicyError, match="cannot be read: Permission denied"):
        read_sources(["policies/b.yaml"], folder)


def test_a_folder_of_too_many_files_is_probably_another(folder, monkeypatch):
    monkeypatch.setattr(policy_files, "MAX_FILES", 2)
    with pytest.raises(PolicyError, match="policies: more than 2 policy files; is this the right folder"):
        read_sources(["policies"], folder)


SOURCES = {"b.yaml": "text\n", "a.yaml": "é\n"}
BUNDLE = SimpleNamespace(digest=digest_of(SOURCES), sources=SOURCES)


def test_what_was_put_is_what_is_got(tmp_path):
    archive = BundleArchive(tmp_path / "deep" / "bundles")
    assert archive.get(BUNDLE.digest) is None
    archive.put(BUNDLE)
    archive.put(BUNDLE)
    assert archive.get(BUNDLE.digest) == SOURCES
    assert [file.name for file in (tmp_path / "deep" / "bundles").iterdir()] == [f"{BUNDLE.digest}.json"]


def test_a_bundle_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(policy_files.os, "fsync", full)
    archive = BundleArchive(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        archive.put(BUNDLE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            json.dumps({"digest": BUNDLE.digest, "sources": {"a.yaml": "other"}}),
            "was altered: its texts have the digest",
        ),
        ("{", "is damaged: it is no archived bundle"),
        ("[]", "is damaged"),
        ('{"sources": []}', "is damaged"),
        ("{}", "is damaged"),
    ],
)
def test_an_altered_bundle_is_refused(tmp_path, content, message):
    (tmp_path / f"{BUNDLE.digest}.json").write_text(content)
    with pytest.raises(ReplayError, match=message):
        BundleArchive(tmp_path).get(BUNDLE.digest)


@pytest.mark.parametrize("digest", ["", "abc", "../../etc/passwd", "A" * 64, f"{'a' * 64}\n"])
def test_a_digest_is_no_path(tmp_path, digest):
    with pytest.raises(ReplayError, match="is no digest of a bundle: 64 hexadecimal digits"):
        BundleArchive(tmp_path).get(digest)


def test_two_readings_in_a_row_agree_or_nothing_is_read(folder, monkeypatch):
    swapped = [{"a": "old", "b": "new"}, {"a": "new", "b": "new"}, {"a": "new", "b": "new"}, {"a": "never"}]
    readings = iter(swapped)
    monkeypatch.setattr(policy_files, "read_sources", lambda *_: next(readings))
    assert read_settled(["policies"], folder) == {"a": "new", "b": "new"}
    count = iter(range(100))
    monkeypatch.setattr(policy_files, "read_sources", lambda *_: {"a": str(next(count))})
    with pytest.raises(PolicyError, match="change while they are read"):
        read_settled(["policies"], folder)
    assert next(count) < 10


def test_it_is_remembered_what_is_in_force_here(tmp_path):
    archive = BundleArchive(tmp_path / "bundles")
    assert archive.pointed() is None
    archive.point("ab" * 32)
    archive.point("cd" * 32)
    assert BundleArchive(tmp_path / "bundles").pointed() == "cd" * 32
    (tmp_path / "bundles" / "running").write_text("../../etc/passwd\n")
    assert archive.pointed() is None
