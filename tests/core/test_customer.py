"""Every reason has a text in every language, and no text says more than a customer should read."""

import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from gateway.core.customer import DEFAULT, LANGUAGES, Text, language_of, read_texts, text_of, texts, told, words_of
from gateway.core.errors import ConfigError
from gateway.core.problem import problem_html
from gateway.core.reply import WORDS, Reply, record_unavailable, reply_to, reply_to_ambiguous
from gateway.core.terms import Access, Ambiguity, Operation, Outcome, Reason
from gateway.core.verdict import Verdict

OUTAGE = Verdict(
    Operation.VIEW, Outcome.DENY, frozenset(), (), nothing_granted=True, reason=None, challenge=None,
    uncertain=(), obligations=(), outage=True,
)  # fmt: skip
FOLDER = files("gateway.core.texts")
GERMAN = FOLDER.joinpath("de.toml").read_text(encoding="utf-8")


def test_each_language_has_its_file_and_each_file_its_language() -> None:
    assert sorted(f"{language}.toml" for language in LANGUAGES) == sorted(
        one.name for one in FOLDER.iterdir() if one.name.endswith(".toml")
    )
    names = [texts(language).language for language in LANGUAGES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_text_in_every_language(reason: Reason, language: str) -> None:
    title, detail = text_of(reason, language)
    assert title
    assert detail.endswith(".")
    if language != DEFAULT:
        assert (title, detail) != WORDS[reason]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_has_internals_in_it(language: str) -> None:
    words = texts(language)
    everything = [part for text in (*words.reasons.values(), words.outage) for part in text]
    everything += [words.still_open, *words.operations.values(), *words.ambiguities.values(), *words.page]
    codes = {str(code) for code in (*Reason, *Ambiguity) if "-" in code}
    for text in everything:
        assert not re.search(
            r"[`_<>{}]|geoip|maxmind|bundle|unknown fact", re.sub("{(operations|support)}", "", text), re.IGNORECASE
        ), text
        assert not [code for code in codes if code in text], text


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_codes_share_a_text_only_where_they_do_in_english(language: str) -> None:
    words, english = texts(language), texts(DEFAULT)
    assert len(set(words.operations.values())) == len(Operation)
    assert len(set(words.ambiguities.values())) == len(Ambiguity)
    assert len({text.detail for text in words.reasons.values()}) == len(
        {text.detail for text in english.reasons.values()}
    )


def test_english_is_what_replies_say() -> None:
    words = texts("en")
    assert words.reasons == {reason: Text(*words) for reason, words in WORDS.items()}
    for one in Ambiguity:
        assert words.ambiguities[one] == reply_to_ambiguous(one).detail
    reply = reply_to_ambiguous(Ambiguity.HOST)._replace(allowed_operations=tuple(Operation))
    page = problem_html(reply, "id", support_url=None).decode()
    assert ", ".join(words.operations.values()) in page


@pytest.mark.parametrize(
    ("tag", "language"),
    [("de", "de"), ("de-AT", "de"), ("pt_BR", "pt"), (" FR ", "fr"), ("nl", "en"), ("", "en"), ("x-de", "en")],
)
def test_a_tag_asks_for_its_language_or_the_default(tag: str, language: str) -> None:
    assert language_of(tag) == language


def test_what_stays_open_is_said_without_what_was_refused() -> None:
    open_now = [Operation.SUPPORT, Operation.WITHDRAW, Operation.UNCLASSIFIED]
    assert text_of(Reason.HOLD, "en", Operation.WITHDRAW, open_now).detail == (
        "This has been put on hold for your account. Still open to you: contact support."
    )
    assert text_of(Reason.HOLD, "de", Operation.WITHDRAW, [Operation.WITHDRAW]).detail == (
        "Dies ist für Ihr Konto vorläufig gesperrt."
    )


def _refused(reason: Reason, **more: Any) -> Reply:
    return Reply(403, reason, *WORDS[reason], Operation.WITHDRAW, Access.READ_ONLY, ())._replace(**more)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", Reason)
def test_a_live_refusal_says_what_is_told_of_it_later(reason: Reason, language: str) -> None:
    assert words_of(_refused(reason), language) == texts(language).reasons[reason]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("ambiguity", Ambiguity)
def test_what_could_not_be_read_is_said_in_the_language(ambiguity: Ambiguity, language: str) -> None:
    words = texts(language)
    title = words.reasons[Reason.AMBIGUOUS_REQUEST].title
    assert words_of(reply_to_ambiguous(ambiguity), language) == Text(title, words.ambiguities[ambiguity])


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_outage_is_said_in_the_language(language: str) -> None:
    reply = reply_to(OUTAGE)
    assert words_of(reply, language) == texts(language).outage
    later = record_unavailable(OUTAGE)
    assert words_of(later, language) == texts(language).reasons[Reason.RECORD_UNAVAILABLE]


def test_a_message_stays_as_it_was_written_behind_the_words_that_can_be_read() -> None:
    message = "You may withdraw until 31 March."
    reply = _refused(Reason.JURISDICTION_EXIT, detail=message, message=message)
    english, german = words_of(reply, "en"), words_of(reply, "de")
    assert english == Text(WORDS[Reason.JURISDICTION_EXIT][0], message)
    assert german.detail == f"{texts('de').reasons[Reason.JURISDICTION_EXIT].detail} {message}"


def test_what_has_no_reason_is_said_as_it_stands() -> None:
    assert words_of(_refused(Reason.HOLD)._replace(reason=None, title="T", detail="D."), "fr") == Text("T", "D.")


def _document(**more: Any) -> dict[str, Any]:
    verdict = {"operations": ["support", "view"], "outage": False, "outcome": "deny"}
    return {
        "operation": "withdraw",
        "verdict": verdict,
        "reply": {"status": 403, "reason": "account-flagged"},
        **more,
    }


def test_a_decision_is_told_in_the_language_asked_for() -> None:
    assert told(_document(), "de") == Text(
        "Dieses Konto wird geprüft",
        "Solange dieses Konto geprüft wird, können Sie es ansehen, aber weder handeln noch Guthaben bewegen. "
        "Weiterhin möglich: Ansehen, Support kontaktieren.",
    )


def test_what_was_let_through_is_not_told() -> None:
    assert told(_document(reply={"status": 200, "reason": None}), "fr") is None


def test_a_challenge_says_what_to_do_alone() -> None:
    verdict = {"operations": [str(one) for one in Operation], "outage": False, "outcome": "challenge"}
    document = _document(verdict=verdict, reply={"status": 401, "reason": "step-up-required"})
    assert told(document, "es") == text_of(Reason.STEP_UP_REQUIRED, "es")


def test_an_outage_is_told_as_one() -> None:
    verdict = {"operations": [], "outage": True, "outcome": "deny"}
    document = _document(verdict=verdict, reply={"status": 503, "reason": "account-unknown"})
    assert told(document, "pt") == texts("pt").outage
    document["reply"] = {"status": 503, "reason": "record-unavailable"}
    assert told(document, "pt") == text_of(Reason.RECORD_UNAVAILABLE, "pt")


def test_a_request_that_could_not_be_read_is_told_what_is_wrong_with_it() -> None:
    document = _document(
        verdict=None, operation=None, ambiguous={"why": "host"}, reply={"status": 400, "reason": "ambiguous-request"}
    )
    assert told(document, "de") == Text("Die Anfrage ist mehrdeutig", "Der Host-Header fehlt oder ist nicht lesbar.")


def test_a_language_without_texts_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are no texts in `nl`; there are some in en, de, es, fr, pt"):
        texts("nl")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("language =", "language", "xx.toml: not readable as TOML"),
        ('language = "Deutsch"', "", "`language` is a printable text"),
        ("[reasons.hold]", "[reasons.held]", "`reasons` lacks hold"),
        ("[reasons.hold]", '[reasons.new]\ntitle = "x"\ndetail = "x."\n[reasons.hold]', "`reasons` knows no new"),
        ("[outage]", "[outages]", "`outage` is a table with `title` and `detail`"),
        ('view = "Ansehen"', "", "`operations` lacks view"),
        ('view = "Ansehen"', 'view = ""', "`operations.view` is a printable text of 1 to 300"),
        ('view = "Ansehen"', 'view = "\\u0007"', "`operations.view` is a printable text of 1 to 300"),
        ('view = "Ansehen"', f'view = "{"x" * 301}"', "`operations.view` is a printable text of 1 to 300"),
        ('view = "Ansehen"', "view = 1", "`operations.view` is a printable text of 1 to 300"),
        ("[ambiguities]", "[other]", "there is no table `ambiguities`"),
        ("{operations}", "", "`still_open` has `{operations}` once"),
        ("{operations}", "{operations} {0}", "`still_open` has `{operations}` once"),
        ("[page]", "[pages]", "`page` is a table with `reference`, `code`"),
        ('ticket = "Ticket"', "", "`page` is a table with `reference`, `code`"),
        ('ticket = "Ticket"', "ticket = 1", "`page.ticket` is a printable text of 1 to 300"),
        ("{support} und nennen Sie", "nennen Sie", "`page.appeal` has `{support}` once"),
        ("so bleibt, {support}", "so bleibt", "`page.again` has `{support}` once"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(old: str, new: str, message: str) -> None:
    assert old in GERMAN
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_texts("xx.toml", GERMAN.replace(old, new, 1))


def test_a_file_that_is_whole_is_read_and_nothing_of_it_is_left_out() -> None:
    words, table = read_texts("de.toml", GERMAN), tomllib.loads(GERMAN)
    assert set(table) == {"language", "still_open", "operations", "outage", "page", "reasons", "ambiguities"}
    assert words.reasons[Reason.HOLD] == Text(**table["reasons"]["hold"])
    assert words.operations[Operation.VIEW] == "Ansehen"
    assert words.page._asdict() == table["page"]
