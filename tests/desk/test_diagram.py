"""The pages show the tables that the code runs on: diagrams and tables in them are drawn, and held equal."""

import re

import pytest

from gateway.core.account import TRANSITIONS as STATUSES
from gateway.desk.diagram import Arrow, account_arrows, account_diagram, mermaid, ticket_arrows, ticket_diagram
from gateway.desk.lifecycle import TRANSITIONS, TicketState
from tests.desk.pages import PAGES, drawn, parts


@pytest.mark.parametrize("name", sorted(parts()))
def test_the_pages_show_what_the_code_does(name: str) -> None:
    shown = [found[name] for page in PAGES if name in (found := drawn(page))]
    assert shown == [parts()[name]], "after a change of a table: python -m tests.desk.pages"


def test_nothing_in_the_pages_says_to_be_drawn_that_is_not() -> None:
    assert {name for page in PAGES for name in drawn(page)} == set(parts())


def arrows(diagram: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^    (\w+) --> (\w+)(?::|$)", diagram, re.MULTILINE))


def test_the_diagram_of_a_ticket_has_every_step_and_no_other() -> None:
    wanted = {(str(state), str(way.to)) for state, ways in TRANSITIONS.items() for way in ways}
    assert arrows(ticket_diagram()) == wanted
    assert {(one.start, one.end) for one in ticket_arrows()} == wanted
    assert {state for state in TicketState if f"    {state} --> [*]" in ticket_diagram()} == {
        "released", "upheld", "expired",
    }  # fmt: skip


def test_the_diagram_of_an_account_has_every_change_and_no_other() -> None:
    wanted = {(str(old), str(new)) for old, ways in STATUSES.items() for new in ways}
    assert arrows(account_diagram()) == wanted
    assert len(account_arrows()) == len(wanted)
    assert "--> [*]" not in account_diagram()


def test_arrows_between_the_same_states_share_their_line_once() -> None:
    twice = [Arrow("a", "b", "x"), Arrow("a", "b", "y"), Arrow("a", "b", "x")]
    assert mermaid(["a"], twice, ["b"]) == "stateDiagram-v2\n    [*] --> a\n    a --> b: x / y\n    b --> [*]"


def test_no_status_of_an_account_is_dead() -> None:
    assert all(STATUSES.values())
