"""Loading policies: whole or not at all."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from gateway.policies import testing
from gateway.policies.check import check
from gateway.policies.compile import Bundle
from gateway.policies.excepting import attached, check_exceptions
from gateway.policies.findings import Finding, Place, Rejected, quoted
from gateway.policies.rules import Exceptions, NamedList, Policy
from gateway.policies.schema import Sources
from gateway.policies.syntax import parse_file

MAX_FILES: Final = 2_000


def load(sources: Mapping[str, str], *, sources_configured: Sources | None) -> Bundle:
    """Return the bundle of these files, texts by name. Raise Rejected (a PolicyError) with every finding.

    `sources_configured` says which facts are supplied; None leaves that out, for a bundle that once was in force.
    """
    bundle = assemble(sources, sources_configured=sources_configured)
    results = {policy.name: testing.run(policy, bundle.lists) for policy in bundle.policies}
    found = [finding for policy in bundle.policies for finding in testing.findings(policy, results[policy.name])]
    found += testing.failures(testing.run_exceptions(bundle))
    if found:
        raise Rejected(found)
    return bundle


def assemble(sources: Mapping[str, str], *, sources_configured: Sources | None) -> Bundle:
    """Return the bundle without having run its tests. Raise Rejected (a PolicyError) with every finding."""
    if not sources:
        raise Rejected([Finding(Place("policies", 1, 1), "there are no policy files: nothing would ever be granted")])
    if len(sources) > MAX_FILES:
        raise Rejected([Finding(Place("policies", 1, 1), f"there are more than {MAX_FILES} files")])
    policies, lists, exceptions = _parse(sources)
    found = check(policies, lists, sources_configured)
    found += check_exceptions(exceptions, policies, sources_configured)
    if not policies:
        first = next(iter([*(one.place for one in lists.values()), *(one.place for one in exceptions)]))
        found.append(Finding(first, "there are lists or exceptions but no policy: nothing would ever be granted"))
    if found:
        raise Rejected(found)
    return Bundle(attached(policies, exceptions), lists, sources, digest_of(sources))


def digest_of(sources: Mapping[str, str]) -> str:
    """Return the SHA-256 of names and texts, in hex. Lengths stand before each, so no text can pass for another."""
    state = sha256(b"gateway bundle 1\n")
    for name, text in sorted(sources.items()):
        for part in (name.encode(), text.encode()):
            state.update(b"%d:" % len(part))
            state.update(part)
    return state.hexdigest()


def _parse(sources: Mapping[str, str]) -> tuple[list[Policy], dict[str, NamedList], list[Exceptions]]:
    """Return the policies, the lists by the names that conditions use, and the exceptions."""
    found: list[Finding] = []
    policies: list[Policy] = []
    lists: dict[str, NamedList] = {}
    exceptions: list[Exceptions] = []
    for name, text in sorted(sources.items()):
        try:
            parsed = parse_file(name, text)
        except Rejected as rejected:
            found += rejected.findings
            continue
        if isinstance(parsed, Policy):
            policies.append(parsed)
        elif isinstance(parsed, Exceptions):
            exceptions.append(parsed)
        elif parsed.key in lists:
            where = lists[parsed.key].place.file
            found.append(
                Finding(parsed.place, f"a second list named {quoted(parsed.name)}: the first stands in {where}")
            )
        else:
            lists[parsed.key] = parsed
    if found:
        raise Rejected(found)
    return policies, lists, exceptions


__all__ = ["Bundle", "assemble", "digest_of", "load"]
