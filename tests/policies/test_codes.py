import ast
import re
from pathlib import Path

import pytest

from gateway import policies
from gateway.policies.codes import CODES

CALLS = {"Finding", "complain", "_complain", "_reject"}
CODE = re.compile(r"[a-z]+(?:-[a-z]+)*")


def given():
    """Return every code that some source gives a finding, by the third argument or by name."""
    for path in Path(policies.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in CALLS:
                said = [*node.args[2:3], *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
                yield from (one.value for one in said if isinstance(one, ast.Constant))


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_a_few_small_words_with_one_sentence(code):
    assert CODE.fullmatch(code)
    assert re.fullmatch(r"[A-Z`].*\.", CODES[code])


def test_every_code_that_a_finding_carries_is_explained():
    codes = set(given())
    assert len(codes) > 30
    assert codes - CODES.keys() == set()
