from gateway.policies.bundle import assemble
from gateway.policies.review import review
from gateway.policies.times import instant

POLICY = """\
policy: far
title: Far away
owner: security
rules:
  - id: far
    limit: read_only
    when: country == "CU"
    reason: hold
    basis: b
    in_force: {until: 2026-02-01}
  - {id: all, grant: full, when: true}
"""
EXCEPTIONS = """\
exceptions: some
owner: compliance
entries:
  - id: one
    operations: [withdraw]
    account: "42"
    lifts: [far/far]
    reason: r
    basis: b
    from: 2026-01-01
    until: 2026-01-20
"""


def test_what_has_passed_of_policies_and_exceptions_is_said_in_one_list():
    bundle = assemble({"far.yaml": POLICY, "some.yaml": EXCEPTIONS}, sources_configured=None)
    assert [one.code for one in review(bundle, instant("2026-01-02"))] == []
    codes = [one.code for one in review(bundle, instant("2026-02-01"))]
    assert codes == ["dates-passed", "exception-expired"]
