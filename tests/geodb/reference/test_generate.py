"""The table of names is what its generator writes."""

from pathlib import Path

import pytest

import geodb.reference
from geodb.reference import generate

FOLDER = Path(geodb.reference.__file__).parent


def test_the_table_is_what_the_generator_writes_today() -> None:
    assert (FOLDER / "subdivisions.json").read_text("utf-8") == generate.generate(), (
        "run python -m geodb.reference.generate"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[DE]\n"Atlantis" = "DE-ZZ"\n', r"\[DE\] 'Atlantis': DE-ZZ is not an ISO 3166-2 code"),
        ('[QQ]\n"Atlantis" = "DE-BY"\n', "no country QQ in ISO 3166-2"),
    ],
)
def test_a_variant_of_nowhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str) -> None:
    (tmp_path / "variants.toml").write_text(text)
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=why):
        generate.generate()
