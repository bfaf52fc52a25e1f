"""What was asked, from which address, and by whom: the situation of one decision in sentences.

The document is one that `core.masking` made for its reader: what that one may not see is not in it.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from gateway.core.client_ip import How, Role, Unresolved
from gateway.core.decision import Document, instant_text, parse_instant
from gateway.core.facts import ACCOUNT_FACTS, CONNECTION_FACTS, CREDENTIAL_FACTS
from gateway.core.terms import Credential, Operation, TokenState
from gateway.policies.phrases import (
    CREDENTIALS,
    HOW,
    NAMES,
    PROOFS,
    ROLES,
    SIGNALS,
    TOKENS,
    UNRESOLVED,
    doubt,
    listed,
    named,
    operation_words,
    shown,
    value_of,
)
from gateway.policies.schema import FACTS

_DAY: Final = 86_400_000_000
_SAID: Final = frozenset(
    {"operation", "credential", "token", "assurance", "auth_age", "signals", *CONNECTION_FACTS, *ACCOUNT_FACTS}
)


def asked(document: Document) -> Iterator[str]:
    """Yield what was asked, when, and by what kind of program."""
    request, operation = document["request"], document["operation"]
    at = instant_text(parse_instant(document["at"]))
    yield f"{shown(request['method'])} {shown(request['path'])} on {shown(request['host'])}, at {at}."
    message = document.get("message")
    if message is not None:
        name = "no name that is known here" if message["name"] is None else f"the name {shown(message['name'])}"
        yield f"It was a message, of {name}, on the stream that decision {shown(message['opened_by'])} opened."
    if operation:
        words = operation_words(Operation(operation))
        plain = "something that no route names" if operation == Operation.UNCLASSIFIED else f"to {words}"
        yield f"That is the operation {shown(operation)}: {plain}."
    else:
        yield "It could not be read as any operation."
    if request["user_agent"] is None:
        yield "What the client called itself is not shown here."
    else:
        yield f"The client called itself {shown(request['user_agent'])}."
    if request.get("trace_id"):
        yield f"It said that it was a part of the trace {shown(request['trace_id'])}."


def address(document: Document) -> Iterator[str]:
    """Yield which address was held responsible, and how it was chosen, hop by hop."""
    client_ip = document["client_ip"]
    how = HOW[How(client_ip["how"])]
    masked = "addresses" in document["masked"]
    if client_ip["address"] is None:
        yield f"None: {UNRESOLVED[Unresolved(client_ip['reason'])]}. Everything about the connection is unknown."
    else:
        yield f"{shown(client_ip['address'])}: {how}."
    for number, hop in enumerate(client_ip["chain"], 1):
        nearest = ", nearest us" if number == 1 else ""
        yield f"Hop {number}{nearest}: {shown(hop['text'])}, {ROLES[Role(hop['role'])]}."
    if masked:
        yield "Of each address only its network is shown here."


def databases(document: Document, *, digests: bool) -> Iterator[str]:
    """Yield what the databases said of the address, how old they were, and where they were in doubt."""
    known, unknown = document["facts"], document["unknown"]
    certain = [f"{NAMES[name]} {named(name, known[name])}" for name in CONNECTION_FACTS if name in known]
    if certain:
        yield f"Certain: {'; '.join(certain)}."
    doubts: dict[str, list[str]] = {}
    for name in CONNECTION_FACTS:
        if name in unknown:
            doubts.setdefault(doubt(unknown[name]), []).append(f"the {NAMES[name]}")
    for what, names in doubts.items():
        sentence = f"{listed(names)} {'is' if len(names) == 1 else 'are'} {what}."
        yield sentence[0].upper() + sentence[1:]
    editions = [_edition(str(one), parse_instant(document["at"]), digests) for one in document["editions"]]
    yield f"Databases: {listed(editions)}." if editions else "No database was in use."
    if certain:
        yield "An address says where a connection comes out: it is evidence of a place, not proof of it."


def _edition(text: str, at: int, digests: bool) -> str:
    """Return the edition with its age at the time; as recorded where that is not written as usual."""
    name, _, rest = text.rpartition(" ")[0].rpartition(" ")
    try:
        age = at // _DAY - (date.fromisoformat(rest) - date(1970, 1, 1)).days
    except ValueError:
        return shown(text)
    days = "1 day" if age == 1 else f"{age} days"
    return f"{shown(text if digests else name)}{'' if digests else f' of {rest}'} ({days} old)"


def customer(document: Document) -> Iterator[str]:
    """Yield who the customer was, and where the account stood at that moment."""
    known, unknown = document["facts"], document["unknown"]
    yield from _credential(known)
    account = known.get("account")
    if account is not None:
        yield f"Account {shown(account)}."
    doubts: dict[str, list[str]] = {}
    for name in (*CREDENTIAL_FACTS, *ACCOUNT_FACTS):
        if name in unknown:
            doubts.setdefault(doubt(unknown[name]), []).append(NAMES[name])
    for what, names in doubts.items():
        yield f"Uncertain: {listed(names)}, {what}."
    if account is not None or "account" in unknown:
        rest = [f"{NAMES[name]} {named(name, known[name])}" for name in ACCOUNT_FACTS[1:] if name in known]
        if rest:
            yield f"The account: {'; '.join(rest)}."
    for signal in known.get("signals", ()):
        yield f"Measured: {shown(signal)}{SIGNALS.get(signal, '')}."
    more = [name for name in FACTS if name in known and name not in _SAID and known[name] is not None]
    if more:
        yield f"Besides: {'; '.join(f'{NAMES[name]} {value_of(known[name])}' for name in more)}."


def _credential(known: Mapping[str, Any]) -> Iterator[str]:
    credential, token = known.get("credential"), known.get("token")
    if credential == Credential.NONE:
        yield "Nobody was signed in: no credential came."
        return
    came = "a credential" if credential is None else CREDENTIALS[Credential(credential)]
    yield f"The request came with {came}" + ("." if token is None else f", which {TOKENS[TokenState(token)]}.")
    if token in {TokenState.EXPIRED, TokenState.INVALID}:
        yield "So nobody counted as signed in."
    if known.get("assurance"):
        age = known.get("auth_age")
        when = "" if age is None else f", {int(age)} seconds before"
        if credential == Credential.API_KEY:
            yield "An API key shows that the caller has the key, and no more than that."
        else:
            yield f"They had proved who they are {PROOFS[int(known['assurance'])]}{when}."
