"""Two hundred rules in two forms: policy files for the gateway, closures for a plain loop."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.core.facts import Facts
from gateway.core.terms import Credential, Operation, TokenState

CLOSED = ("US", "CN", "IR", "CU", "KP", "SY", "BY", "MM", "SD", "VE", "ZW", "AF")
"""Countries whose addresses the pretend exchange does not serve: what a refused request comes from."""
RESTRICTED = (
    *("DE", "FR", "GB", "IT", "ES", "NL", "BE", "AT", "PL", "SE", "NO", "DK", "FI", "IE", "PT", "CZ", "GR", "HU", "RO"),
    *("BG", "HR", "SK", "SI", "LT", "LV", "EE", "LU", "MT", "CY", "IS", "CH", "TR", "IN", "JP", "KR", "SG", "MY", "TH"),
    *("ID", "PH", "VN", "AU", "NZ", "BR", "AR", "CL", "CO", "PE", "MX", "CA", "ZA", "NG", "KE", "EG", "MA", "TN", "IL"),
    *("SA", "AE", "QA"),
)
RESIDENCES = RESTRICTED[:40]
NATIONALITIES = RESTRICTED[40:60]
FLAGS = tuple(f"watch-{number}" for number in range(30))
NETWORKS = tuple((64_512 + 3 * number, 64_513 + 3 * number, 64_514 + 3 * number) for number in range(30))
"""Private-use AS numbers: these rules are looked at on every request and match none."""

HOME = "PT"
AT = "2026-01-01"
RULES_A_FILE = 100
ALL = ("view", "login", "deposit", "trade.spot", "trade.futures", "trade.copy", "trade.reduce", "transfer", "withdraw")

Effect = Literal["grant", "limit", "require"]


@dataclass(frozen=True)
class Context:
    """What a plain rule may look at."""

    country: str | None
    asn: int | None
    status: str = "open"
    verification: str = "full"
    flags: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()
    residence: str | None = None
    nationality: str | None = None

    def facts(self, at: int) -> Facts:
        """Return the same as Facts of a customer who signed in a minute ago and views."""
        return Facts(
            at,
            Operation.VIEW,
            country=self.country,
            subdivision=None,
            continent="EU",
            asn=self.asn,
            network=frozenset(),
            credential=Credential.SESSION,
            token=TokenState.VALID,
            assurance=2,
            auth_age=60,
            account="C00000001",
            status=self.status,
            flags=self.flags,
            verification=self.verification,
            documents=self.documents,
            residence=self.residence,
            nationality=self.nationality,
        )


@dataclass(frozen=True)
class Rule:
    """One rule: as text for a policy file, as a closure for a loop, and the facts of a test that it determines."""

    id: str
    effect: Effect
    opens: str
    """The `grant`, `limit` or `require` of the policy file."""
    closes: frozenset[str]
    """Operations that the rule takes away, or opens where it is a grant."""
    when: str
    matches: Callable[[Context], bool]
    reason: str = ""
    example: str = ""
    """Facts under which it determines the refusal of `operation`."""
    operation: str = "view"
    outcome: str = "deny"
    file: str = field(default="")


def _closed(code: str) -> Rule:
    return Rule(
        id=f"closed-{code.lower()}",
        effect="limit",
        opens="support_only",
        closes=frozenset(ALL),
        when=f'country == "{code}" or "{code}" in documents',
        matches=lambda seen: seen.country == code or code in seen.documents,
        reason="jurisdiction-blocked",
        example=f"country: {code}",
        file="closed",
    )


def _product(code: str) -> Rule:
    return Rule(
        id=f"products-{code.lower()}",
        effect="limit",
        opens="{all_but: [trade.futures, trade.copy]}",
        closes=frozenset({"trade.futures", "trade.copy"}),
        when=f'country == "{code}" or "{code}" in documents',
        matches=lambda seen: seen.country == code or code in seen.documents,
        reason="jurisdiction-product",
        example=f"country: {code}",
        operation="trade.futures",
        file="products",
    )


def _unverified(code: str) -> Rule:
    return Rule(
        id=f"unverified-{code.lower()}",
        effect="limit",
        opens="read_only",
        closes=frozenset(ALL) - {"view", "login"},
        when=f'residence == "{code}" and verification in ["none", "basic"]',
        matches=lambda seen: seen.residence == code and seen.verification in {"none", "basic"},
        reason="identity-unverified",
        example=f"country: {HOME}, status: open, residence: {code}, verification: basic",
        operation="withdraw",
        file="unverified",
    )


def _network(number: int, asns: tuple[int, ...]) -> Rule:
    known = frozenset(asns)
    return Rule(
        id=f"network-{number}",
        effect="limit",
        opens="read_only",
        closes=frozenset(ALL) - {"view", "login"},
        when=f"asn in {list(asns)}",
        matches=lambda seen: seen.asn in known,
        reason="anonymous-network",
        example=f"country: {HOME}, asn: {asns[0]}",
        operation="withdraw",
        file="networks",
    )


def _flag(name: str) -> Rule:
    return Rule(
        id=f"flag-{name}",
        effect="limit",
        opens="withdraw_only",
        closes=frozenset(ALL) - {"view", "login", "withdraw"},
        when=f'"{name}" in flags',
        matches=lambda seen: name in seen.flags,
        reason="account-flagged",
        example=f"country: {HOME}, status: open, flags: [{name}]",
        operation="trade.spot",
        file="flags",
    )


def _nationality(code: str) -> Rule:
    return Rule(
        id=f"abroad-{code.lower()}",
        effect="limit",
        opens="{all_but: [trade.copy]}",
        closes=frozenset({"trade.copy"}),
        when=f'nationality == "{code}" and not residence == "{code}"',
        matches=lambda seen: seen.nationality == code and seen.residence != code,
        reason="jurisdiction-product",
        example=f"country: {HOME}, status: open, nationality: {code}, residence: {HOME}",
        operation="trade.copy",
        file="abroad",
    )


def _status(status: str, level: str, opened: frozenset[str]) -> Rule:
    return Rule(
        id=f"status-{status.replace('_', '-')}",
        effect="grant",
        opens=level,
        closes=opened,
        when=f'status == "{status}"',
        matches=lambda seen: seen.status == status,
        file="status",
    )


def _fresh_proof(operation: str) -> Rule:
    return Rule(
        id=f"fresh-{operation}",
        effect="require",
        opens=f"{{for: [{operation}], proof: mfa, max_age: 5m}}",
        closes=frozenset({operation}),
        when='status != "none"',
        matches=lambda seen: seen.status != "none",
        reason="step-up-required",
        example=f"country: {HOME}, status: open, assurance: 1, auth_age: 900",
        operation=operation,
        outcome="challenge",
        file="proof",
    )


def _all() -> Iterator[Rule]:
    yield _status("open", "full", frozenset(ALL))
    yield _status("exit_only", "withdraw_only", frozenset({"view", "login", "withdraw"}))
    yield _status("flagged", "read_only", frozenset({"view", "login"}))
    yield _status("restricted", "support_only", frozenset())
    yield Rule(
        "support-for-all", "grant", "support_only", frozenset(), 'operation == "support"', lambda _: True, file="status"
    )
    yield _fresh_proof("withdraw")
    yield _fresh_proof("security")
    yield _fresh_proof("transfer")
    yield from (_closed(code) for code in CLOSED)
    yield from (_product(code) for code in RESTRICTED)
    yield from (_unverified(code) for code in RESIDENCES)
    yield from (_network(number, asns) for number, asns in enumerate(NETWORKS))
    yield from (_flag(name) for name in FLAGS)
    yield from (_nationality(code) for code in NATIONALITIES)


RULES: tuple[Rule, ...] = tuple(_all())


def of_size(count: int) -> tuple[Rule, ...]:
    """Return `count` rules of the same kinds: fewer of each, or the two hundred and more flags."""
    always = [rule for rule in RULES if rule.file in {"status", "proof"}]
    others = [rule for rule in RULES if rule.file not in {"status", "proof"}]
    wanted = count - len(always)
    if wanted <= len(others):
        return (*always, *(others[number * len(others) // wanted] for number in range(wanted)))
    more = (_flag(f"watch-{number}") for number in range(len(FLAGS), len(FLAGS) + count - len(RULES)))
    return (*RULES, *more)


def policy_files(rules: Sequence[Rule] = RULES) -> dict[str, str]:
    """Return file name → text: the rules by kind, each limit and requirement with the test that it determines."""
    files: dict[str, str] = {}
    for kind in dict.fromkeys(rule.file for rule in rules):
        alike = [rule for rule in rules if rule.file == kind]
        for number, start in enumerate(range(0, len(alike), RULES_A_FILE), 1):
            name = f"{kind}-{number}"
            files[f"{name}.yaml"] = _policy(name, alike[start : start + RULES_A_FILE])
    return files


def _policy(kind: str, rules: Sequence[Rule]) -> str:
    lines = [f"policy: bench-{kind}", f"title: Benchmark, {kind}", "owner: benchmarks", "rules:"]
    tests: list[str] = []
    for rule in rules:
        lines += [f"  - id: {rule.id}", f"    {rule.effect}: {rule.opens}", f"    when: '{rule.when}'"]
        if rule.effect == "grant":
            continue
        lines += [f"    reason: {rule.reason}", "    basis: A rule of the benchmark"]
        tests += [
            f"  - name: It determines the answer ({rule.id})",
            f"    facts: {{{rule.example}}}",
            f"    operation: {rule.operation}",
            f"    at: {AT}",
            f"    expect: {{outcome: {rule.outcome}, by: [{rule.id}], reason: {rule.reason}}}",
        ]
    return "\n".join([*lines, *(["tests:", *tests] if tests else []), ""])
