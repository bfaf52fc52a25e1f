"""Whom the gateway tells and who tells it, as operators write it."""

import pytest

from gateway.core.messages import Told

START = "[client_ip]\ntrusted_proxies = []\n"
HOOK = '[[webhooks]]\nurl = "https://exchange.example/hook"\nsecret_file = "secret"\n'
ISSUER = (
    '[[security_events]]\nissuer = "https://idp.example"\naudience = "gateway"\njwks = "keys"\nalgorithms = ["ES256"]\n'
)
EVIDENCE = '[evidence]\nkey_file = "keys"\n'
RESULTS = '[identity_results]\nprovider = "Acme ID"\nsecret_file = "secret"\n'


@pytest.fixture(autouse=True)
def _files(tmp_path) -> None:
    for name in ("secret", "keys", "ca.pem", "credentials"):
        (tmp_path / name).write_text("x")


def test_nobody_is_told_and_nobody_tells_unless_it_is_said(load_text) -> None:
    settings = load_text(START)

    assert (settings.webhooks, settings.security_events) == ((), ())
    assert (settings.evidence, settings.identity_results) == (None, None)


def test_the_least_of_each_table_is_enough(load_text, tmp_path) -> None:
    settings = load_text(START + HOOK + ISSUER + EVIDENCE + RESULTS)

    (hook,) = settings.webhooks
    assert (hook.name, hook.types, hook.allow_private, hook.ca_file) == ("exchange", (), False, None)
    assert hook.secret_file == tmp_path / "secret"
    (issuer,) = settings.security_events
    assert (issuer.jwks, issuer.max_age_s) == (str(tmp_path / "keys"), 86_400)
    assert settings.evidence.where == str(tmp_path / "var/evidence")
    assert (settings.evidence.key_file, settings.evidence.largest_file) == (tmp_path / "keys", 10 * 1024 * 1024)
    assert (settings.identity_results.provider, settings.identity_results.secret_file) == (
        "Acme ID",
        tmp_path / "secret",
    )


def test_all_of_it_can_be_said(load_text, tmp_path) -> None:
    settings = load_text(
        START
        + HOOK
        + 'name = "desk-2"\ntypes = ["hold.placed", "notice"]\nallow_private = true\nca_file = "ca.pem"\n'
        + ISSUER.replace('"keys"', '"https://idp.example/keys"')
        + 'subject_issuers = ["https://old.example"]\naccount_hosts = ["Exchange.example"]\nmax_age = "1h"\n'
        + EVIDENCE
        + 'where = "s3://bucket/evidence"\nlargest_file = "2MiB"\noptions = { aws_region = "eu-central-1" }\n'
        + 'credentials_file = "credentials"\n'
    )

    (hook,) = settings.webhooks
    assert (hook.name, hook.types, hook.allow_private) == ("desk-2", ("hold.placed", "notice"), True)
    (issuer,) = settings.security_events
    assert (issuer.jwks, issuer.account_hosts, issuer.max_age_s) == (
        "https://idp.example/keys",
        ("exchange.example",),
        3600,
    )
    assert settings.evidence.where == "s3://bucket/evidence"
    assert settings.evidence.options == {"aws_region": "eu-central-1"}


def test_every_message_that_there_is_can_be_wanted(load_text) -> None:
    wanted = ", ".join(f'"{one}"' for one in Told)

    assert load_text(f"{START}{HOOK}types = [{wanted}]\n").webhooks[0].types == tuple(Told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HOOK.replace('"secret"', '"secrit"'), "webhooks[0].secret_file: no such file"),
        ('[[webhooks]]\nurl = "https://exchange.example/hook"\n', "webhooks[0].secret_file: is missing"),
        ('[[webhooks]]\nsecret_file = "secret"\n', "webhooks[0].url: is missing"),
        (HOOK + 'types = ["hold.plaaced"]\n', "did you mean `hold.placed`?"),
        (HOOK + 'types = ["x"]\n', "no message is a `x`; there are `account.status_changed`"),
        (HOOK + 'name = "The Exchange"\n', "is not a name"),
        (HOOK + 'ca_file = "ca"\n', "webhooks[0].ca_file: no such file"),
        (HOOK + HOOK, "webhooks: 2 are called `exchange`"),
        (HOOK + 'secret = "whsec_AAAA"\n', "unknown key: did you mean `secret_file`?"),
        (ISSUER.replace("ES256", "HS256"), "of shared secrets, which do not prove"),
        (ISSUER.replace("ES256", "ES265"), "did you mean `ES256`?"),
        (ISSUER.replace('["ES256"]', "[]"), "is empty"),
        (ISSUER.replace('"keys"', '"http://idp.example/keys"'), "did you mean `https://`?"),
        (ISSUER.replace('"keys"', '"kees"'), "security_events[0].jwks: no such file"),
        (ISSUER + 'max_age = "1s"\n', "security_events[0].max_age"),
        (ISSUER + ISSUER, "`https://idp.example` is configured 2 times"),
        ("[evidence]\n", "evidence.key_file: is missing"),
        (
            EVIDENCE + 'options = { aws_secret_access_key = "x" }\n',
            "into the file that `credentials_file` names",
        ),
        (EVIDENCE + 'largest_file = "1GiB"\n', "evidence.largest_file"),
        (EVIDENCE.replace("keys", "kez"), "evidence.key_file: no such file"),
        (EVIDENCE + 'credentials_file = "credential"\n', "evidence.credentials_file: no such file"),
        (RESULTS.replace("Acme ID", "Acme\\nID"), "is not a name"),
        (RESULTS.replace('"secret"', '"sicret"'), "identity_results.secret_file: no such file"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(refusal, text, said) -> None:
    (line,) = refusal(START + text)

    assert line.startswith("gateway.toml: ")
    assert said in line


def test_an_address_whose_path_may_be_a_secret_is_not_printed(load_text) -> None:
    (hook,) = load_text(START + HOOK.replace("/hook", "/hook/s3cr3t")).webhooks

    assert "s3cr3t" not in repr(hook)
