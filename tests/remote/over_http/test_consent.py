"""What the user has agreed to: kept in private, and never more than was said."""

import stat
import threading
from pathlib import Path

import platformdirs
import pytest

from starfill.app.remote_engine import open_engine
from starfill.config import allowed_engines
from starfill.config.settings import Settings
from starfill.errors import ConsentError, SettingsError

A, B = "https://a.example.com", "http://b.example.com:8000"


def file() -> Path:
    return Path(platformdirs.user_config_dir("starfill")) / "engines.json"


def test_nothing_is_allowed_at_first():
    assert allowed_engines.allowed() == []
    assert not allowed_engines.revoke(A)


def test_allowing_and_revoking():
    allowed_engines.allow(B)
    allowed_engines.allow(A)
    allowed_engines.allow(A)
    assert allowed_engines.allowed() == [B, A]
    assert allowed_engines.revoke(A)
    assert not allowed_engines.revoke(A)
    assert allowed_engines.allowed() == [B]


def test_the_file_is_private_whatever_it_was(monkeypatch):
    allowed_engines.allow(A)
    file().chmod(0o666)
    allowed_engines.allow(B)
    assert stat.S_IMODE(file().stat().st_mode) == 0o600
    assert sorted(each.name for each in file().parent.iterdir() if each.suffix != ".lock") == ["engines.json"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"5",
        b"[]",
        b"{}",
        b'{"allowed": null}',
        b'{"allowed": "https://a.example.com"}',
        b'{"allowed": {"https://a.example.com": true}}',
        b'{"allowed": [1, null, ["https://a.example.com"]]}',
        b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:30]),
)
def test_a_file_that_can_not_be_read_allows_nothing(data):
    allowed_engines.allow(A)
    file().write_bytes(data)
    assert allowed_engines.allowed() == []
    allowed_engines.allow(B)
    assert allowed_engines.allowed() == [B]


def test_what_a_killed_process_has_left_behind():
    allowed_engines.allow(A)
    file().with_suffix(".new").write_text("half")
    allowed_engines.allow(B)
    assert allowed_engines.allowed() == [B, A]


def test_many_at_once():
    origins = [f"https://{number}.example.com" for number in range(24)]
    threads = [threading.Thread(target=allowed_engines.allow, args=(origin,)) for origin in origins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed_engines.allowed() == sorted(origins)


def test_a_folder_that_can_not_be_written(home):
    (home / "config").write_text("a file")
    with pytest.raises(SettingsError, match=r"What you allow can't be kept: .*engines.json"):
        allowed_engines.allow(A)


@pytest.mark.parametrize(
    ("url", "unencrypted"),
    [
        ("http://192.0.2.1:8000/v1", True),
        ("https://a.example.com:444/v1", False),
        ("http://localhost.example.com", True),
        ("https://127.0.0.1.example.com", False),
    ],
)
def test_another_machine_needs_a_consent(url, unencrypted, home):
    with pytest.raises(ConsentError, match=r"is another machine.*run `starfill engine allow http") as error:
        open_engine(Settings(engine_url=url), home)
    assert error.value.origin == url.removesuffix("/v1")
    assert ("unencrypted" in str(error.value)) is unencrypted


@pytest.mark.parametrize("other", ["http://192.0.2.1:8000", "https://192.0.2.1", "https://192.0.2.1:8001"])
def test_a_consent_is_for_one_origin(other, home):
    allowed_engines.allow("https://192.0.2.1:8000")
    with pytest.raises(ConsentError):
        open_engine(Settings(engine_url=other), home)
