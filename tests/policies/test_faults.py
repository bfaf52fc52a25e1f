"""The corpus of seeded faults: each is caught, and the message names the place and what was probably meant.

A fault is an edit of the sound bundle beside it (`was` becomes `is` in `file`), or a file more. It is caught where the
bundle is loaded, or among what a review finds as of the date `on`; or it loads, and what it `widens` is caught by the
comparison with the sound bundle.
"""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway.adapters.policy_files import read_sources
from gateway.policies.bundle import load
from gateway.policies.codes import CODES
from gateway.policies.diff import diff
from gateway.policies.findings import Finding, Rejected, Severity
from gateway.policies.review import review
from gateway.policies.times import instant

CORPUS = Path(__file__).parents[1] / "corpus" / "faults"
SOUND = {path.name: path.read_text() for path in sorted((CORPUS / "sound").iterdir())}
ON = "2026-03-01"


def faults():
    for path in sorted(CORPUS.glob("*.yaml")):
        for fault in YAML(typ="safe", pure=True).load(path.read_text()):
            yield pytest.param(fault, id=f"{path.stem}: {fault['name']}")


def found_in(folder: Path, on: str) -> tuple[Finding, ...]:
    try:
        bundle = load(read_sources(["."], folder), sources_configured=None)
    except Rejected as rejected:
        return rejected.findings
    return tuple(review(bundle, instant(on)))


def seed(fault, folder: Path) -> None:
    """Write the sound bundle with the fault in it."""
    for name, text in SOUND.items():
        (folder / name).write_text(text)
    name = fault.get("file", "canada.yaml")
    for edit in (fault, *fault.get("also", ())):
        edited = folder / edit.get("file", "canada.yaml")
        if "was" in edit:
            text = edited.read_text()
            assert edit["was"] in text, "the sound bundle has changed"
            edited.write_text(text.replace(edit["was"], edit["is"], 1))
    if "text" in fault:
        assert not (folder / name).exists()
        (folder / name).write_text(fault["text"])
    if "encoding" in fault:
        (folder / name).write_bytes((folder / name).read_text().encode(fault["encoding"]))


def test_the_sound_bundle_is_sound(tmp_path):
    for name, text in SOUND.items():
        (tmp_path / name).write_text(text)
    assert found_in(tmp_path, ON) == ()


def caught_by(key: str) -> list[Any]:
    return [fault for fault in faults() if key in fault.values[0]]


@pytest.mark.parametrize("fault", caught_by("widens"))
def test_a_widening_that_nobody_mentions_is_caught_with_whom_it_lets_in(fault, tmp_path):
    sound = load(SOUND, sources_configured=None)
    seed(fault, tmp_path)
    seeded = load(read_sources(["."], tmp_path), sources_configured=None)
    found = diff(sound, seeded)
    assert found.widens
    places = {rule.ref: str(rule.place) for rule in seeded.rules}
    at_place = [one.text() for one in found.widenings if fault["at"] in {places[ref] for ref in one.rules}]
    assert any(fault["widens"] in text for text in at_place), at_place


@pytest.mark.parametrize("fault", caught_by("code"))
def test_a_seeded_fault_is_caught_where_it_stands_with_what_was_meant(fault, tmp_path):
    seed(fault, tmp_path)
    found = found_in(tmp_path, str(fault.get("on", ON)))
    at_place = [one for one in found if str(one.place) == fault["at"] and one.code == fault["code"]]
    assert at_place, [str(one) for one in found]
    assert any(fault["says"] in one.message for one in at_place), [one.message for one in at_place]
    assert {one.severity for one in at_place} == {Severity(fault.get("severity", "error"))}
    assert fault["code"] in CODES


def test_the_corpus_is_large_and_its_names_are_unique():
    names = [fault.values[0]["name"] for fault in faults()]
    assert len(names) == len(set(names))
    assert len(names) >= 100
