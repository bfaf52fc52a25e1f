import pytest

START = "[client_ip]\ntrusted_proxies = []\n"


@pytest.fixture
def keyed(tmp_path):
    (tmp_path / "key").write_text("k" * 64)
    return START


def test_what_measures_requests_is_off_unless_it_is_asked_for(load_text) -> None:
    settings = load_text(START)
    assert (settings.risk, settings.device, settings.withdrawals) == (None, None, None)


def test_all_of_it_can_be_said(load_text, keyed, tmp_path) -> None:
    settings = load_text(
        keyed
        + '[risk]\nkey_file = "key"\nhold_above = 5\nask_above = 1.5\nbudget = 0.02\n'
        + '[device]\ncookie = "__Host-gwd"\nkey_file = "key"\n'
        + '[withdrawals]\ndestination = "/to"\namount_usd = "header:X-Amount"\n'
    )
    assert settings.risk.key_file == tmp_path / "key"
    assert (settings.risk.ask_above, settings.risk.hold_above, settings.risk.budget) == (1.5, 5, 0.02)
    assert settings.device.cookie == "__Host-gwd"
    assert settings.withdrawals.destination == "/to"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[risk]\nkey_file = "key"\nhold_above = 1\nask_above = 2\n', "would never be asked for proof"),
        ('[risk]\nkey_file = "key"\nhold_above = nan\n', "risk.hold_above"),
        ('[risk]\nkey_file = "key"\nbudget = 0\n', "risk.budget"),
        ('[risk]\nkey_file = "key"\nbudget = 2\n', "risk.budget"),
        ("[risk]\nhold_above = 1\n", "risk.key_file"),
        ('[risk]\nkey_file = "kez"\n', "no such file"),
        ("[device]\n", "neither is given"),
        ("[withdrawals]\ntransfers = true\n", "none is named"),
        ('[withdrawals]\nwithdrawn_today_usd = "body"\n', "withdrawn_today_usd"),
        ('[device]\ncookie = "__Host-gwd"\nheader = "X-Device-Key"\nkey_file = "key"\n', "both is given"),
        ('[device]\ncookie = "__Host-gwd"\n', "`cookie` needs `key_file`"),
        ('[device]\nheader = "X-Device-Key"\nkey_file = "key"\n', "takes none"),
        ('[device]\nheader = "Cookie"\n', "already has a meaning"),
        ("[withdrawals]\n", "says where nothing stands"),
        ('[login]\npath = "login"\naccount_header = "X-Login-Account"\n', "does not begin with `/`"),
        ('[login]\npath = "/login"\naccount_header = "Set-Cookie"\n', "headers of their own"),
        ('[login]\npath = "/login"\naccount_header = "X-A"\nsession_header = "x-a"\n', "headers of their own"),
        ('[login]\npath = "/login"\naccount_header = "X-A"\nmethods = ["POTS"]\n', "did you mean `POST`"),
        ('[login]\npath = "/login"\n', "login.account_header"),
        ('[withdrawals]\ndestinaton = "/to"\n', "destination"),
    ],
)
def test_what_cannot_work_is_refused_with_a_line_that_says_why(refusal, keyed, text, said) -> None:
    lines = refusal(keyed + text)
    assert any(said in line for line in lines), lines


def test_a_short_key_is_refused_without_being_told(refusal, keyed, tmp_path) -> None:
    (tmp_path / "short").write_text("secret")
    lines = refusal(keyed + '[risk]\nkey_file = "short"\n')
    assert any("risk.key_file" in line and "6 bytes" in line for line in lines)
    assert "secret" not in "".join(lines)
