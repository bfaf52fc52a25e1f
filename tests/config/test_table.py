"""What holds for every table."""

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.config.table import Table, Text


class Shelf(Table):
    width: int = 1


def test_a_table_does_not_change() -> None:
    shelf = Shelf()

    with pytest.raises(ValidationError, match="frozen"):
        shelf.width = 2


def test_a_table_knows_all_its_keys_and_shows_no_value_that_it_refuses() -> None:
    with pytest.raises(ValidationError, match="Extra inputs") as caught:
        Shelf.model_validate({"widht": "a secret"})

    assert "a secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "x" * 513])
def test_a_text_is_not_empty_and_not_endless(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python(text)
