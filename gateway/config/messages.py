"""What the messages of a stream attempt: the tables about WebSockets whose messages are decided one by one."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.table import Table, Text
from gateway.config.upstreams import route
from gateway.config.values import OperationName, Size, some
from gateway.core.errors import ConfigError
from gateway.core.said import MessageRule
from gateway.core.withdrawal_request import WithdrawalRule, pointer_of

Names = Annotated[Mapping[Text, OperationName], Field(max_length=1024)]


class Messages(Table):
    """How the messages of one path say what they attempt."""

    path: Annotated[str, Field(max_length=512), AfterValidator(route)]
    field: Text
    operations: Annotated[Names, AfterValidator(some)]
    otherwise: OperationName = "unclassified"
    texts: Names = Field(default_factory=dict)
    refuse: Literal["close", "answer"] = "close"
    binary: Literal["refuse", "json"] = "refuse"
    batches: Literal["each", "refuse"] = "each"
    other_cases: Literal["refuse", "ignore"] = "refuse"
    max_bytes: Size = Field(default=64 * 1024, ge=256, le=1024**2)
    id: Text | None = None
    amount_usd: Text | None = None
    balance_share: Text | None = None
    destination: Text | None = None

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        try:
            for key in ("amount_usd", "balance_share", "destination"):
                if (place := getattr(self, key)) is not None:
                    pointer_of(key, place)
            self.rule(transfers=False)
        except ConfigError as fault:
            raise ValueError(str(fault)) from None
        return self

    def rule(self, *, transfers: bool | None) -> MessageRule:
        """Return what reads them. Raise ConfigError where that cannot be.

        `transfers` is whether these say of themselves what withdrawals say; None where neither does.
        """
        withdrawals = None
        if transfers is not None:
            withdrawals = WithdrawalRule(
                amount_usd=self.amount_usd,
                balance_share=self.balance_share,
                destination=self.destination,
                transfers=transfers,
            )
        return MessageRule(
            field=self.field,
            operations=self.operations,
            otherwise=self.otherwise,
            texts=self.texts,
            binary=self.binary,
            batches=self.batches,
            other_cases=self.other_cases,
            most_bytes=self.max_bytes,
            answers=self.refuse == "answer",
            id=self.id,
            withdrawals=withdrawals,
        )
