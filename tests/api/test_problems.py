import orjson

from gateway.api.problems import ApiProblem, bad_parameter, json_response, unavailable


def test_a_problem_says_what_is_wrong_with_which_parameter() -> None:
    answer = bad_parameter("since", "since: not an instant").response()
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert orjson.loads(answer.body) == {
        "type": "urn:gateway:problem:bad-parameter",
        "title": "Bad Request",
        "status": 400,
        "detail": "since: not an instant",
        "parameter": "since",
    }


def test_a_problem_without_a_parameter_names_none_and_brings_its_headers() -> None:
    answer = ApiProblem(401, "token-required", "send one", headers={"WWW-Authenticate": "Bearer"}).response()
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "parameter" not in orjson.loads(answer.body)


def test_what_does_not_answer_may_be_asked_again() -> None:
    assert unavailable("the store").response().headers["retry-after"] == "5"


def test_an_answer_stays_out_of_caches() -> None:
    answer = json_response({"a": 1})
    assert (answer.body, answer.headers["cache-control"]) == (b'{"a":1}', "no-store")
