"""The key: where it may stand, and that nothing ever shows it."""

import json
import logging
import os

import pytest

from remote.fake_engine import Fault
from starfill.errors import EngineError, SettingsError
from starfill.remote.address import Address
from starfill.remote.origin_key import api_key

KEY = "sk-hunter2-0123456789"
HERE, SAFE, OPEN = (Address.parse(url) for url in ("http://[::1]:1", "https://example.com", "http://example.com"))


def key_file(tmp_path, data, mode=0o600):
    file = tmp_path / "key"
    file.write_bytes(data)
    file.chmod(mode)
    return str(file)


def test_no_key_is_wanted():
    assert api_key(OPEN, "", "") == ""


@pytest.mark.parametrize("address", [HERE, SAFE])
def test_from_the_environment(address, monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", f" {KEY}\n")
    assert api_key(address, "ENGINE_KEY", "/not/looked/at") == KEY


@pytest.mark.parametrize("data", [KEY, f"{KEY}\n", f"\n {KEY} \r\n"])
def test_from_a_file(data, tmp_path):
    assert api_key(SAFE, "", key_file(tmp_path, data.encode())) == KEY


def test_from_a_file_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    key_file(tmp_path, KEY.encode(), 0o400)
    assert api_key(SAFE, "", "~/key") == KEY


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_a_variable_that_is_not_set(value, monkeypatch):
    monkeypatch.delenv("ENGINE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("ENGINE_KEY", value)
    with pytest.raises(SettingsError, match=r"apiKeyEnv.* ENGINE_KEY, which is not set"):
        api_key(SAFE, "ENGINE_KEY", "")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty: write the key into it"),
        (b" \n\n", "is empty: write the key into it"),
        (f"{KEY}\n{KEY}".encode(), "one word in one line"),
        (f"{KEY} {KEY}".encode(), "one word in one line"),
        (f"{KEY}\x00".encode(), "one word in one line"),
        (f"{KEY}é".encode(), "one word in one line"),
        (f"{KEY}\xff".encode("latin-1"), r"can't be read \(it is no text\)"),
    ],
)
def test_a_file_without_a_key(data, sentence, tmp_path):
    with pytest.raises(SettingsError, match=sentence) as error:
        api_key(SAFE, "", key_file(tmp_path, data))
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/no/such/file", r"\(No such file or directory\)"),
        ("/", r"\(Is a directory\)"),
        ("/nul\0l", r"null"),
        ("~nobody-has-this-name/key", r"home directory"),
    ],
)
def test_a_file_that_can_not_be_read(path, sentence):
    with pytest.raises(SettingsError, match=rf"can't be read .*{sentence}.*apiKeyFile"):
        api_key(SAFE, "", path)


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_a_file_that_others_may_read(mode, tmp_path):
    with pytest.raises(SettingsError, match=r"Others on this machine may read the key in .*chmod 600") as error:
        api_key(SAFE, "", key_file(tmp_path, KEY.encode(), mode))
    assert KEY not in str(error.value)


def test_a_key_is_not_sent_where_others_can_read_it(monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", KEY)
    with pytest.raises(SettingsError, match=r"^http://example.com is not encrypted.*use https, or a tunnel") as error:
        api_key(OPEN, "ENGINE_KEY", "")
    assert KEY not in str(error.value)


@pytest.fixture
def everything(caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx2", "httpcore2", "httpx", "httpcore", "asyncio", "starfill"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def shown(logged):
    return [str(value) for record in logged.records for value in (record.getMessage(), *vars(record).values())]


def objects_within(value):
    """An object of ours or of the HTTP client, and those that its attributes hold, and theirs."""
    waiting, found = [value], []
    while waiting:
        value = waiting.pop()
        ours = type(value).__module__.partition(".")[0] in ("starfill", "httpx2")
        if ours and hasattr(value, "__dict__") and not any(value is other for other in found):
            found.append(value)
            waiting += vars(value).values()
    return found


def test_the_key_is_sent_and_never_shown(fake, opened, everything, monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", KEY)
    found = opened(engine := fake("vllm", key=KEY), engine_api_key_env="ENGINE_KEY")
    assert found.answer() == "answer"
    assert engine.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    values = [found, *objects_within(found.engine)]
    assert {"Connection", "AsyncClient", "Headers"} <= {type(value).__name__ for value in values}
    for value in values:
        assert KEY not in repr(value)
    assert everything.records  # else this proves nothing
    assert not [text for text in shown(everything) if KEY in text]


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
def test_an_engine_that_repeats_the_key(status, fake, opened, everything, monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", KEY)
    found = opened(engine := fake("vllm", key=KEY), engine_api_key_env="ENGINE_KEY")
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}})
    engine.always = Fault(event=body) if status == 200 else Fault(status, body=body)
    with pytest.raises(EngineError) as error:
        found.ask()
    assert engine.url in str(error.value)
    assert KEY not in str(error.value)
    assert not [text for text in shown(everything) if KEY in text]


@pytest.mark.parametrize("key", [None, "sk-another"])
def test_an_engine_that_wants_another_key(key, fake, opened, monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", key or "")
    with pytest.raises(EngineError, match=r"wants another key \(401\).*apiKeyEnv") as error:
        opened(fake("vllm", key=KEY), engine_api_key_env="ENGINE_KEY" if key else "")
    assert "sk-" not in str(error.value)
