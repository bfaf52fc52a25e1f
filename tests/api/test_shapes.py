from gateway.api.shapes import listed, named, one_of, whole


def test_a_whole_object_has_all_that_it_says_and_nothing_else() -> None:
    schema = whole(b=named("Decision"), a=listed({"type": "string"}))
    assert schema["required"] == ["a", "b"]
    assert schema["additionalProperties"] is False


def test_a_text_of_a_few_may_be_null_where_that_is_said() -> None:
    assert one_of(("a", "b")) == {"type": "string", "enum": ["a", "b"]}
    assert one_of(("a",), or_null=True) == {"type": ["string", "null"], "enum": ["a", None]}
