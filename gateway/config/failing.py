"""What is done while something does not answer, as far as an operator may choose it. `docs/failure.md` has it all."""

from typing import Self

from pydantic import Field, model_validator

from gateway.config.table import Table
from gateway.config.values import Milliseconds, OperationName, Seconds, Whole
from gateway.core.failing import LONGEST_GOING_ON_S, LONGEST_REMEMBERED_S


class Streams(Table):
    """What stays open while nobody can decide about it."""

    go_on_s: Seconds = Field(default=10, alias="go_on", ge=0, le=LONGEST_GOING_ON_S)
    end_within_s: Seconds = Field(default=5, alias="end_within", ge=0, le=LONGEST_GOING_ON_S)
    strict: tuple[OperationName, ...] = ()


class Remembered(Table):
    """For how long of the store's silence what is remembered of an account is relied on."""

    looks_s: Seconds = Field(default=0, alias="looks", ge=0, le=LONGEST_REMEMBERED_S)
    changes_s: Seconds = Field(default=0, alias="changes", ge=0, le=LONGEST_REMEMBERED_S)

    @model_validator(mode="before")
    @classmethod
    def _money_is_never_moved_by_memory(cls, data: object) -> object:
        if isinstance(data, dict) and "money" in data:
            raise ValueError("`money`: what moves money is decided by the store itself, and refused where it is silent")
        return data

    @model_validator(mode="after")
    def _what_changes_something_is_relied_on_no_longer_than_looking(self) -> Self:
        if self.changes_s > self.looks_s:
            raise ValueError("`changes` is longer than `looks`, and what changes something does more harm")
        return self


class Failure(Table):
    """What is done while something does not answer, and while there is too much to do."""

    remembered: Remembered = Remembered()
    in_work: Whole = Field(default=1024, ge=16, le=65_536)
    late_ms: Milliseconds = Field(default=250, alias="late", ge=50, le=10_000)
    store_faults: Whole = Field(default=5, ge=1, le=1000)
    store_rest_ms: Milliseconds = Field(default=1000, alias="store_rest", ge=100, le=10_000)
    streams: Streams = Streams()
