"""What a customer reads about a refusal, in their language: plain, and without a rule, list, fact or database in it."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from gateway.core.decision import Document
from gateway.core.errors import ConfigError
from gateway.core.reply import WORDS, Reply, reply_to, reply_to_ambiguous
from gateway.core.terms import Ambiguity, Operation, Outcome, Reason
from gateway.core.verdict import Verdict

LANGUAGES: Final = ("en", "de", "es", "fr", "pt")
"""Each has its file in `gateway/core/texts`. A new one is its file, and its name here."""

DEFAULT: Final = "en"

_LONGEST: Final = 300
_FOLDER: Final = "gateway.core.texts"
_OUTAGE: Final = Verdict(
    Operation.VIEW, Outcome.DENY, frozenset(), (), nothing_granted=True, reason=None, challenge=None,
    uncertain=(), obligations=(), outage=True,
)  # fmt: skip

Code = TypeVar("Code", bound=StrEnum)


class Text(NamedTuple):
    """What the customer reads."""

    title: str
    detail: str


class Page(NamedTuple):
    """What stands on the page of a refusal besides its title and detail."""

    reference: str
    code: str
    ticket: str
    hold_until: str
    needed: str
    """Stands before what a ticket still asks for, each of which has a text of its own below."""
    selfie_with_document: str
    signed_note: str
    old_channel_confirmation: str
    identity_result: str
    still_open: str
    support: str
    """What to do, as it stands in `appeal` and `again`, which have `{support}` in them once."""
    appeal: str
    again: str


class Texts(NamedTuple):
    """Everything that is said in one language."""

    language: str
    """Its own name for itself."""
    still_open: str
    """A sentence with `{operations}` in it."""
    operations: Mapping[Operation, str]
    reasons: Mapping[Reason, Text]
    ambiguities: Mapping[Ambiguity, str]
    outage: Text
    page: Page


def language_of(tag: str) -> str:
    """Return the language that a tag such as `pt-BR` asks for, or the default where there are no texts in it."""
    primary = tag.strip().replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else DEFAULT


@lru_cache(maxsize=len(LANGUAGES))
def texts(language: str) -> Texts:
    """Return the texts of one of LANGUAGES. Raise ConfigError for any other."""
    if language not in LANGUAGES:
        msg = f"there are no texts in `{language}`; there are some in {', '.join(LANGUAGES)}"
        raise ConfigError(msg)
    name = f"{language}.toml"
    return read_texts(name, files(_FOLDER).joinpath(name).read_text(encoding="utf-8"), replies=language == DEFAULT)


def read_texts(name: str, content: str, *, replies: bool = False) -> Texts:
    """Return the texts of a file, every code with its own. `replies` takes those that `core.reply` has from there.

    Raise ConfigError where something lacks, is not known, or is too long to be read.
    """
    try:
        table = tomllib.loads(content)
    except tomllib.TOMLDecodeError as fault:
        msg = f"{name}: not readable as TOML: {fault}"
        raise ConfigError(msg) from fault
    operations = _each(name, "operations", table.get("operations"), Operation)
    if replies:
        reasons = {reason: Text(*words) for reason, words in WORDS.items()}
        ambiguities = {one: reply_to_ambiguous(one).detail for one in Ambiguity}
        reply = reply_to(_OUTAGE)
        outage = Text(reply.title, reply.detail)
    else:
        reasons = _each(name, "reasons", table.get("reasons"), Reason, _text)
        ambiguities = _each(name, "ambiguities", table.get("ambiguities"), Ambiguity)
        outage = _text(name, "outage", table.get("outage"))
    return Texts(
        _sentence(name, "language", table.get("language")),
        _with_place(name, "still_open", table.get("still_open"), "operations"),
        MappingProxyType(operations),
        MappingProxyType(reasons),
        MappingProxyType(ambiguities),
        outage,
        _page(name, table.get("page")),
    )


def words_of(reply: Reply, language: str) -> Text:
    """Return title and detail of a live refusal. Raise ConfigError where there are no texts in the language.

    A rule's message follows the reason's own words where these are not in the language of replies: it may say what
    nothing else does, and nobody translated it.
    """
    if language == DEFAULT or reply.reason is None:
        return Text(reply.title, reply.detail)
    words = texts(language)
    text = words.reasons[reply.reason]
    if reply.ambiguity is not None:
        return Text(text.title, words.ambiguities[reply.ambiguity])
    if reply.status == 503 and reply.reason is Reason.ACCOUNT_UNKNOWN:
        return words.outage
    return text if reply.message is None else Text(text.title, f"{text.detail} {reply.message}")


def text_of(
    reason: Reason, language: str, operation: Operation | None = None, still_open: Iterable[Operation] = ()
) -> Text:
    """Return title and detail of a refusal. `still_open` is what the access leaves; the operation refused is left out.

    Raise ConfigError where there are no texts in the language.
    """
    words = texts(language)
    return _with_open(words, words.reasons[reason], frozenset(still_open) - {operation})


def told(document: Document, language: str) -> Text | None:
    """Return what the customer reads about a recorded decision; None where the request was let through.

    What stays open is said where something was denied, not where a proof was asked for. The message of a rule is in the
    language of its policy: it is not in the record, and not in this text. Raise KeyError or ValueError where the
    document is no decision, ConfigError where there are no texts in the language.
    """
    words = texts(language)
    if document["reply"]["reason"] is None:
        return None
    reason = Reason(document["reply"]["reason"])
    if document["verdict"] is None:
        return Text(words.reasons[reason].title, words.ambiguities[Ambiguity(document["ambiguous"]["why"])])
    left = document["verdict"]["operations"] if document["verdict"]["outcome"] != Outcome.CHALLENGE else ()
    still_open = frozenset(map(Operation, left)) - {Operation(document["operation"])}
    outage = document["verdict"]["outage"] and reason is Reason.ACCOUNT_UNKNOWN
    return _with_open(words, words.outage if outage else words.reasons[reason], still_open)


def _with_open(words: Texts, text: Text, still_open: frozenset[Operation | None]) -> Text:
    # What no route names is nothing that a customer could ask for by that name.
    named = [words.operations[one] for one in Operation if one in still_open and one is not Operation.UNCLASSIFIED]
    if not named:
        return text
    return Text(text.title, f"{text.detail} {words.still_open.format(operations=', '.join(named))}")


def _each(
    name: str, where: str, table: object, codes: type[Code], read: Callable[[str, str, object], Any] | None = None
) -> dict[Code, Any]:
    """Return a text for every code, and for nothing else."""
    if not isinstance(table, dict):
        msg = f"{name}: there is no table `{where}`"
        raise ConfigError(msg)
    lacking, unknown = {*codes} - {*table}, {*table} - {*codes}
    if lacking or unknown:
        what = f"lacks {', '.join(sorted(lacking))}" if lacking else f"knows no {', '.join(sorted(unknown))}"
        msg = f"{name}: `{where}` {what}"
        raise ConfigError(msg)
    return {code: (read or _sentence)(name, f"{where}.{code}", table[code]) for code in codes}


def _text(name: str, where: str, table: object) -> Text:
    if not isinstance(table, dict) or {*table} != {"title", "detail"}:
        msg = f"{name}: `{where}` is a table with `title` and `detail`"
        raise ConfigError(msg)
    return Text(*(_sentence(name, f"{where}.{key}", table[key]) for key in ("title", "detail")))


def _page(name: str, table: object) -> Page:
    if not isinstance(table, dict) or {*table} != {*Page._fields}:
        msg = f"{name}: `page` is a table with {', '.join(f'`{field}`' for field in Page._fields)}"
        raise ConfigError(msg)
    plain = {key: _sentence(name, f"page.{key}", value) for key, value in table.items()}
    with_place = {key: _with_place(name, f"page.{key}", plain[key], "support") for key in ("appeal", "again")}
    return Page(**{**plain, **with_place})


def _with_place(name: str, where: str, value: object, place: str) -> str:
    sentence = _sentence(name, where, value)
    if sentence.count(f"{{{place}}}") != 1 or sentence.count("{") != 1:
        msg = f"{name}: `{where}` has `{{{place}}}` once, where that is to stand"
        raise ConfigError(msg)
    return sentence


def _sentence(name: str, where: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST or not value.isprintable():
        msg = f"{name}: `{where}` is a printable text of 1 to {_LONGEST} characters"
        raise ConfigError(msg)
    return value
