"""What every table of the configuration is made of."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, max_length=512)]


class AlsoText:
    """Marks a list or a table for which a plain text may stand."""


ALSO_TEXT: Final = AlsoText()


class Table(BaseModel):
    """A table of the configuration: frozen, and every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
