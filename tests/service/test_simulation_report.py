import re

from gateway.service.simulation import simulate
from gateway.service.simulation_report import page
from tests.recorded import AT, HOUR, bundle, facts, limit, moments, recorded

WINDOW = {"since": AT - HOUR, "until": AT + HOUR}


async def report(candidate, *some, **more) -> str:
    return page(await simulate(moments(recorded(some, bundle())), candidate, **WINDOW, **more))


async def test_a_page_needs_nothing_besides_itself() -> None:
    html = await report(bundle(limit("us", 'country == "US"')), facts(country="US", amount_usd=7), facts())
    assert "<script" not in html
    assert not re.search(r"""(?:src|href|action)\s*=|url\(|@import|\son\w+=""", html)
    assert html.startswith("<!doctype html>")
    assert 'data-country="US" class="deny"' in html
    assert "1 would have another outcome (50.000%)" in html
    assert "7.00" in html
    assert "Newly refused" in html
    assert "Newly allowed</h2>" not in html


async def test_what_was_recorded_is_text_and_never_markup() -> None:
    html = await report(bundle(limit("us", "True")), facts(country="<b>", status="<i>"))
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "<i>" not in html


async def test_where_nothing_changes_there_is_no_map() -> None:
    html = await report(bundle(), facts())
    assert "<svg" not in html
    assert "0 would have another outcome" in html


async def test_a_page_says_whom_a_database_moves() -> None:
    async def refresh(some):
        return [{"country": "US"}] * len(some)

    html = await report(bundle(), facts(), refresh=refresh)
    assert "<td>DE</td><td>US</td><td class=n>1</td>" in html
