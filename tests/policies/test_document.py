import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import PolicyError
from gateway.policies import document
from gateway.policies.document import Leaf, Row, Table, read
from gateway.policies.findings import Place


def leaf(text):
    node = read("f", f"key: {text}")
    assert isinstance(node, Table)
    found = node.entries["key"]
    assert isinstance(found, Leaf)
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("1:20", "1:20"),
        ("2023-02-15", "2023-02-15"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("7", 7),
        ("-7", -7),
        ("007", 7),
        ("0x1F", "0x1F"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("9" * 40, "9" * 40),
        ("9" * 25, 1e25),
        ('"7"', "7"),
        ("'true'", "true"),
        ('""', ""),
    ],
)
def test_a_plain_value_is_read_by_the_core_schema(text, value):
    assert leaf(text).value == value
    assert type(leaf(text).value) is type(value)


def test_a_value_knows_where_it_stands():
    node = read("f.yaml", "# a comment\na:\n  - x\n  - {b: y}\n")
    assert isinstance(node, Table)
    row = node.entries["a"]
    assert isinstance(row, Row)
    assert row.items[0].place == Place("f.yaml", 3, 5)
    inner = row.items[1]
    assert isinstance(inner, Table)
    assert inner.keys["b"] == Place("f.yaml", 4, 6)
    assert inner.entries["b"].place == Place("f.yaml", 4, 9)
    assert node.keys["a"] == Place("f.yaml", 2, 1)


@pytest.mark.parametrize(
    "written",
    [
        "key: one two three",
        "key: one two\n  three",
        "key: >-\n  one\n  two\n\n  three",
        "key: |\n  one\n    two three",
        "key: 'one two three'",
        'key: "one two three"',
        'key: "one \\"two three"',
    ],
)
@pytest.mark.parametrize("word", ["one", "two", "three"])
def test_a_character_of_a_folded_text_is_found_in_the_file(written, word):
    node = read("f", written)
    assert isinstance(node, Table)
    found = node.entries["key"]
    assert isinstance(found, Leaf)
    place = found.place_at(found.text.index(word))
    line = written.split("\n")[place.line - 1]
    assert line[place.column - 1 :].startswith(word)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f:1:1: the file is empty"),
        ("# nothing\n", "f:1:1: the file is empty"),
        ("a: 1\nb: 2\na: 3", "f:3:1: `a` stands here a second time: it was given in line 1"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document begins here: one file holds one policy or one list"),
        ("a: !!python/object x", "the tag `tag:yaml.org,2002:python/object` is not part of the language: leave it out"),
        ("a: !secret x", "f:1:4: the tag `!secret` is not part of the language: leave it out"),
        ("a: !t [x]", "is not part of the language"),
        ("a: *b", "f:1:4: the alias `*b` stands for nothing written before it"),
        ("a: &b [*b]", "f:1:8: the alias `*b` stands for nothing written before it"),
        ("b: &b {x: 1}\na:\n  <<: *b", "f:3:3: merging with `<<` is not part of the language: write the fields out"),
        ("? [a]\n: b", "f:1:3: a key must be a plain word"),
        ("a: [1", "not readable as YAML"),
        ("a: 'x", "not readable as YAML"),
        ("\ta: 1", "f:1:1: not readable as YAML"),
        ("a: \x00", "not readable as YAML"),
        ('a: "\\UFFFFFFFF"', "not readable as YAML"),
        ("[" * 30, "f:1:25: nested deeper than 24 levels"),
        ("- " * 30 + "x", "nested deeper than 24 levels"),
        ("x" * (256 * 1024 + 1), "f:1:1: the file is longer than 256 KiB"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_by_name_and_place(text, message):
    with pytest.raises(PolicyError) as caught:
        read("f", text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_alias_stands_for_what_it_names():
    node = read("f", "a: &x [1, 2]\nb: *x")
    assert isinstance(node, Table)
    assert node.entries["a"] is node.entries["b"]


def test_laughter_is_counted_with_all_that_it_stands_for():
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(PolicyError, match="more than 60000 values, aliases counted with what they stand for"):
        read("f", "\n".join(lines))


def test_values_are_counted_once_however_deep_they_stand(monkeypatch):
    monkeypatch.setattr(document, "MAX_VALUES", 8)
    read("f", "[[[[a, b, c]]]]")  # three texts, four sequences
    with pytest.raises(PolicyError, match="more than 8 values"):
        read("f", "[[[[a, b, c, d, e]]]]")


@given(st.text(alphabet=st.sampled_from(list("ab:-?[]{}&*!|>'\"%@`#,\n \t\\0~<\u00e9\ufeff\x85")), max_size=60))
def test_any_text_is_a_tree_or_a_finding(text):
    try:
        node = read("f", text)
    except PolicyError as refused:
        assert str(refused).startswith("f:")  # noqa: PT017 - either end is fine, an unnamed fault is not
    else:
        assert isinstance(node, Leaf | Row | Table)
