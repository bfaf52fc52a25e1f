"""What every table of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, max_length=512)]


class Table(BaseModel):
    """A table of the configuration: frozen, and every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
