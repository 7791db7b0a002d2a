"""No password reaches the terminal, a file or a record, however it is written."""

import pytest

from experiments.cli import main
from search.safety import secrets
from search.safety.secrets import masked, masked_address, masked_command, remember

PASSWORD = "Tr0ub4dor"
ADDRESSES = [
    f"postgresql+psycopg://me:{PASSWORD}@host:5432/db",
    f"postgresql://me:{PASSWORD}/x{PASSWORD}@host/db",
    f"postgresql://me:{PASSWORD}@{PASSWORD}@host/db",
    f"postgresql://me:{PASSWORD} {PASSWORD}@host/db",
    f"postgresql://me:{PASSWORD}?x#{PASSWORD}@host/db",
    f"postgresql://me:{PASSWORD}:{PASSWORD}@host/db",
    f"postgresql:///db?host=/tmp&password={PASSWORD}",
    f"postgresql:///db?user=me&PASSWORD={PASSWORD}",
    f"postgresql:///db?passwd={PASSWORD}&sslmode=require",
    f"postgresql://host/db?sslpassword={PASSWORD}",
    f"http://me:{PASSWORD}@host:5000/path",
    f"https://{PASSWORD}@host/path?token={PASSWORD}",
    f"HTTP://me:{PASSWORD}@[::1]:5000",
    f"me:{PASSWORD}@host:5000",
    f"http:/me:{PASSWORD}@host",
    f"postgresql://me:{PASSWORD}@h1:5432,h2:5432/db",
    f"postgresql://me:{PASSWORD}@host:port/db",
]  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test remembers is not known to the next."""
    monkeypatch.setattr(secrets, "_known", {})


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_shown_without_its_password(address: str) -> None:
    assert PASSWORD not in masked_address(address)
    assert PASSWORD not in masked_command(["candor", "search", "--storage", address])
    assert PASSWORD not in masked_command(["candor", "search", f"--storage={address}"])


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_was_given_is_hidden_in_every_text(address: str) -> None:
    remember(address)
    assert PASSWORD not in masked(f'could not open "{address}", said bob@example.com: {address}.')


@pytest.mark.parametrize(
    "address", [a for a in ADDRESSES if a.startswith(("postgresql", "https://", "HTTP://"))]
)
def test_an_address_nobody_told_of_is_hidden_in_a_text(address: str) -> None:
    """Of those with a scheme: the port that is no port and a lone host:password are told apart by nobody."""
    assert PASSWORD not in masked(f"could not open {address}: no route to host\nanother line, a@b")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql+psycopg://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql+psycopg://me:x@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("/home/me/data", "/home/me/data"),
        ("databricks", "databricks"),
        ("localhost:5000", "localhost:5000"),
    ],
)
def test_what_is_no_secret_stays(address: str, shown: str) -> None:
    assert masked_address(address) == shown


def test_other_text_stays() -> None:
    text = "see http://127.0.0.1:5000/#/experiments/1?a=b, write to bob@example.com; 3 passes of 7 tokens"
    assert masked(text) == text


def test_pairs_of_a_connection_string_are_hidden() -> None:
    text = f"host=h user=u password='{PASSWORD} x' {{\"PassWd\": \"{PASSWORD}\", 'api_key': '{PASSWORD}'}}"
    assert PASSWORD not in masked(text)
    assert "host=h user=u" in masked(text)


@pytest.mark.parametrize("command", [["runs"], ["report", "joint"], ["reproduce", "abcdef"], ["rm", "joint"]])
def test_no_command_prints_the_password(
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: object,
) -> None:
    """Neither where the address is malformed nor where nobody answers at it."""
    for address in (
        f"me:{PASSWORD}@host",
        f"http://me:{PASSWORD}@127.0.0.1:9",
        f"odd://me:{PASSWORD}/x@host",
    ):
        argv = ["candor", *command, "--workspace", str(tmp_path), "--tracking-uri", address]
        monkeypatch.setattr("sys.argv", argv)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (1, 2)
        shown = capfd.readouterr()
        assert PASSWORD not in shown.out + shown.err


@pytest.mark.parametrize("port", ["port", "99999999999", "-1", ""])
def test_a_storage_port_that_is_no_number_is_one_sentence(
    port: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    address = f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{port}/db"
    monkeypatch.setattr("sys.argv", ["candor", "doctor", "--workspace", str(tmp_path), "--storage", address])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capfd.readouterr()
    assert ended.value.code in (1, 2)
    assert "Traceback" not in shown.err
    assert PASSWORD not in shown.out + shown.err
