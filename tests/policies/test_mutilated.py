"""Whatever becomes of the text of a policy, it is loaded or refused with places that are in the file; nothing else."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policies import library
from gateway.policies.bundle import load
from gateway.policies.findings import Rejected
from gateway.policies.review import review
from gateway.policies.times import instant

FOLDER = Path(library.__file__).parent
POLICIES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.yaml"))}
LISTS = {f"lists/{path.name}": path.read_text() for path in sorted(FOLDER.glob("lists/*.yaml"))}
SPLINTERS = [
    "\t", "\u00a0", "\u2028", "\u201c", "\0", "\ufeff", "\x85", "\r", "\U0001f600", "e\u0301", "\ud7ff", "&a ", "*a",
    "!t ", "---\n", "...\n", "? ", "- ", ": ", "<<: ", "'", '"', "{", "]", "#", "|", ">-\n", "%", "@", "known(", " in ",
    " and", "not ", "==", "=", "(", ")", "9" * 30, "1e999", "-0", "nan", "2026-02-30", "all_but",
    "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59",
]  # fmt: skip


def mutilated(rng: Random, text: str) -> str:
    for _ in range(rng.randint(1, 4)):
        at, other = rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)
        lines = text.split("\n")
        one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                text = text[:at] + text[at + 1 :]
            case 1:
                text = text[:at] + rng.choice(SPLINTERS) + text[at:]
            case 2:
                text = text[: min(at, other)] + text[max(at, other) :] if rng.random() < 0.2 else text
            case 3:
                lines[one], lines[two] = lines[two], lines[one]
                text = "\n".join(lines)
            case 4:
                lines.insert(one, lines[two])
                text = "\n".join(lines)
            case 5:
                del lines[one]
                text = "\n".join(lines)
            case 6:
                words = lines[one].split(" ")
                words[rng.randrange(len(words))] = rng.choice([*lines[two].split(" "), *SPLINTERS])
                lines[one] = " ".join(words)
                text = "\n".join(lines)
            case 7:
                lines[one] = f"{' ' * rng.randint(0, 8)}{lines[one].lstrip()}"
                text = "\n".join(lines)
    return text


@pytest.mark.timeout(120)
@given(st.integers(0, 2**32))
def test_any_text_is_loaded_or_refused_with_places_in_it(seed):
    rng = Random(seed)
    name = rng.choice([*POLICIES, *LISTS])
    texts = {**LISTS, **({name: POLICIES[name]} if name in POLICIES else {"new-york.yaml": POLICIES["new-york.yaml"]})}
    texts[name] = mutilated(rng, texts[name])
    try:
        bundle = load(texts, sources_configured=None)
    except Rejected as rejected:
        found = list(rejected.findings)
        assert found
    else:
        found = review(bundle, instant("2026-11-21"))
    for finding in found:
        assert finding.message
        assert "\n" not in finding.message
        assert finding.place.file in texts
        lines = texts[finding.place.file].replace("\r\n", "\n").split("\n")
        assert 1 <= finding.place.line <= len(lines) + 1
        line = lines[finding.place.line - 1] if finding.place.line <= len(lines) else ""
        assert 1 <= finding.place.column <= len(line) + 2
