"""What the gateway tells of requests while it answers them: the tables about the log and about traces."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.config.table import Table, Text
from gateway.config.values import CollectorAddress, Located, is_called_safely

Requests = Literal["none", "refused", "all"]
Shown = Literal["masked", "digest", "clear"]


class Log(Table):
    """What stands in the log of single requests. What the gateway says of itself stands there always."""

    requests: Requests = "none"
    personal: Shown = "masked"


class Tracing(Table):
    """Where spans go."""

    endpoint: CollectorAddress
    service_name: Text = "gateway"
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    personal: Shown = "masked"
    headers_file: Located | None = None
    ca_file: Located | None = None

    @model_validator(mode="after")
    def _secrets_do_not_cross_a_network_in_the_clear(self) -> Self:
        if self.headers_file is not None and not is_called_safely(self.endpoint):
            raise ValueError(
                "`headers_file` holds what lets us in, and `endpoint` is reached over http: did you mean `https://`?"
            )
        return self
