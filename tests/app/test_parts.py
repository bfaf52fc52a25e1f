import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.adapters.proof import check
from gateway.app import Gateway
from gateway.app.parts import (
    archive_of,
    bundle_of,
    bundles_of,
    guarded_by,
    journal_of,
    keys_of,
    known_bundle,
    plan_of,
    reader_of,
    shipper_of,
    sources_of,
    tokens_of,
)
from gateway.app.shipping_process import ShippingProcess, ShippingThread
from gateway.config import load
from gateway.config.recording import Publishing
from gateway.core.client_ip import How
from gateway.core.errors import ConfigError, JournalUnavailable, PolicyError
from gateway.core.request import AccessRequest
from gateway.core.terms import Operation
from gateway.policies.bundle import assemble, digest_of
from gateway.ports import Ruling


@pytest.fixture
def settings(site):
    return load(site.config)


def test_requests_are_read_as_the_configuration_says(settings) -> None:
    reader = reader_of(settings)
    headers = [(b"host", b"h"), (b"x-forwarded-for", b"8.8.8.8")]
    request = AccessRequest(0, "127.0.0.1", "POST", b"/api/v1/withdrawals", headers)
    reading = reader.read(request)
    assert reading.route.operation is Operation.WITHDRAW
    assert reader.client_ip(request, reading.plan).address == "8.8.8.8"
    assert reader.client_ip(request, reading.plan).how is How.FORWARDED


def test_a_gateway_without_identity_has_no_keys_and_believes_no_token(site) -> None:
    text = site.config.read_text()
    site.config.write_text(text[: text.index("[identity]")] + text[text.index("[policies]") :])
    settings = load(site.config)
    assert keys_of(settings, clock=None) is None
    assert tokens_of(settings, None, key_owner=None).generation == 0


def test_every_process_has_a_journal_of_its_own_name(settings) -> None:
    first, second = journal_of(settings, 1_700_000_000_000_000), journal_of(settings, 1_700_000_000_001_000)
    assert first.worker != second.worker


def test_a_rule_about_a_fact_without_a_source_does_not_load(site, settings) -> None:
    assert "subdivision" not in sources_of(settings).facts
    with pytest.raises(PolicyError, match="subdivision"):
        bundle_of(settings, ("library:new-york",))


def test_an_override_is_a_source(site) -> None:
    override = '\n[geodb.overrides]\n"192.0.2.0/24" = {country = "US", subdivision = "US-NY", network = ["office"]}\n'
    site.config.write_text(site.config.read_text() + override)
    sources = sources_of(load(site.config))
    assert "subdivision" in sources.facts
    assert "office" in sources.networks


@pytest.mark.parametrize(
    ("said", "kind"),
    [('ship = "off"', None), ('ship = "process"', ShippingProcess), ('ship = "thread"', ShippingThread)],
)
def test_who_ships_is_as_it_is_configured(site, said, kind) -> None:
    site.config.write_text(site.config.read_text().replace('ship = "off"', said))
    shipper = shipper_of(load(site.config))
    assert shipper is None if kind is None else isinstance(shipper, kind)


def test_without_an_archive_nothing_ships(site) -> None:
    site.config.write_text(site.config.read_text().replace('ship = "off"', 'url = "none"'))
    settings = load(site.config)
    assert (plan_of(settings), shipper_of(settings), archive_of(settings)) == (None, None, None)


def test_a_key_from_elsewhere_seals_the_journal_and_signs_what_is_removed_from_it(settings, tmp_path) -> None:
    key = tmp_path / "signing.pem"
    private = Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    journal = settings.journal.model_copy(
        update={"signing_key": key, "publishing": (Publishing(file=tmp_path / "published"),)}
    )
    settings = settings.model_copy(update={"journal": journal})

    async def live() -> None:
        written = journal_of(settings, 1_700_000_000_000_000)
        await written.start()
        written.append(Ruling(b'{"facts": null}'), bytes(16), 1_700_000_000_000_000, None, 5, b"GET\0/\0h\0u")
        await written.close()

    asyncio.run(live())
    assert not (journal.directory / "signing.key").exists()
    elsewhere = journal.publishing[0].file
    assert elsewhere is not None
    proof = check(journal.directory, keys=journal.directory / "signing.pub", published=elsewhere)
    assert proof.ok, proof.text()
    assert elsewhere.read_bytes()
    assert plan_of(settings).signing_key == str(key)


def test_a_signing_key_that_cannot_be_read_stops_the_start(settings, tmp_path) -> None:
    journal = settings.journal.model_copy(update={"signing_key": tmp_path / "none.pem"})
    with pytest.raises(JournalUnavailable, match=r"none\.pem"):
        journal_of(settings.model_copy(update={"journal": journal}), 0)


@pytest.mark.parametrize(
    ("archive", "sink", "sent"),
    [("clear", None, "clear"), ("digest", None, "digest"), ("digest", "clear", "clear"), ("clear", "digest", "digest")],
)
def test_a_sink_is_sent_personal_data_as_the_archive_unless_it_says_otherwise(site, archive, sink, sent) -> None:
    (site.folder / "digest.key").write_text("x" * 32)
    text = site.config.read_text().replace(
        "[archive]\n", f'[archive]\npersonal = "{archive}"\ndigest_key = "digest.key"\n'
    )
    own = "" if sink is None else f'personal = "{sink}"\n'
    site.config.write_text(f'{text}[[sinks]]\nkind = "stdout"\n{own}')

    assert [one["personal"] for one in plan_of(load(site.config)).sinks] == [sent]


def test_a_sink_that_cannot_work_stops_the_start(site) -> None:
    site.config.write_text(site.config.read_text() + '[[sinks]]\nkind = "opa"\nname = "siem"\nurl = "logs.example"\n')

    with pytest.raises(ConfigError, match=r"\[\[sinks\]\] `siem`: .*is not an address"):
        plan_of(load(site.config))


def test_sinks_alone_are_a_reason_to_ship(site) -> None:
    text = site.config.read_text().replace('ship = "off"', 'ship = "process"\nurl = "none"')
    site.config.write_text(text)
    assert plan_of(load(site.config)) is None
    site.config.write_text(f'{text}[[sinks]]\nkind = "stdout"\n')

    plan = plan_of(load(site.config))
    assert (plan.url, [one["name"] for one in plan.sinks]) == (None, ["stdout"])
    assert isinstance(shipper_of(load(site.config)), ShippingProcess)


def test_terms_and_secrets_reach_who_ships_as_plain_values(site) -> None:
    (site.folder / "digest.key").write_text("x" * 32)
    terms = 'keep = { money = "5y", rest = "90d" }\nkeep_personal = "30d"\ndigest_key = "digest.key"\n'
    text = site.config.read_text().replace("[archive]\n", f"[archive]\n{terms}")
    site.config.write_text(text.replace("[journal]\n", "[journal]\ncompress = false\n"))

    plan = plan_of(load(site.config))

    assert (plan.keep_money_s, plan.keep_refused_s, plan.keep_rest_s) == (157_680_000, None, 7_776_000)
    assert (plan.keep_personal_s, plan.personal, plan.compress) == (2_592_000, "clear", False)
    assert plan.digest_key == str(site.folder / "digest.key")
    assert b"xxxx" not in plan.line()


def test_where_the_store_decides_the_configured_bundle_is_what_it_said_here_last(site) -> None:
    site.config.write_text(site.config.read_text().replace("[policies]", '[policies]\nsource = "store"'))
    settings = load(site.config)
    begins = bundle_of(settings)
    assert known_bundle(settings) is None
    tighter = {**begins.sources, "policies/closed.yaml": site.policy.replace("IR", "KP")}
    archive = bundles_of(settings)
    archive.put(assemble(tighter, sources_configured=None))
    archive.point(digest_of(tighter))
    assert bundle_of(settings).digest == digest_of(tighter)
    # What is asked for by its paths is that.
    assert bundle_of(settings, settings.policies.paths).digest == begins.digest
    site.config.write_text(site.config.read_text().replace('source = "store"', 'source = "files"'))
    assert bundle_of(load(site.config)).digest == begins.digest


GUARD = '[[policies.never_lock_out]]\nname = "the desk"\noperations = ["view"]\nfacts = {}\n\n[geodb]'


def with_guard(site, facts: str):
    site.config.write_text(site.config.read_text().replace("[geodb]", GUARD.replace("{}", facts), 1))
    return load(site.config)


def test_whom_publishing_guards_is_read_as_in_a_test_of_a_policy(site) -> None:
    (one,) = guarded_by(with_guard(site, '{country = "PT", status = "open", flags = ["staff"]}'))
    assert (one.name, one.facts["flags"]) == ("the desk", frozenset({"staff"}))


@pytest.mark.parametrize(
    ("facts", "said"),
    [("{contry = 'PT'}", "did you mean `country`"), ("{status = 'open'}", "say from which `country`")],
)
def test_facts_of_guarded_people_that_cannot_be_end_the_start(site, facts: str, said: str) -> None:
    settings = with_guard(site, facts)
    for build in (guarded_by, Gateway):
        with pytest.raises(ConfigError, match=rf"policies.never_lock_out\[0\]: .*{said}"):
            build(settings)
