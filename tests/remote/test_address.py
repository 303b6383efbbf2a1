"""Where an engine may be, and which addresses are this machine."""

import pytest

from starfill.errors import SettingsError
from starfill.remote.address import Address


@pytest.mark.parametrize(
    ("url", "base", "origin"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        (" http://127.0.0.1:8000/ ", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://example.com", "https://example.com", "https://example.com"),
        ("HTTPS://Example.COM/Team/v1", "https://example.com/Team", "https://example.com"),
        ("https://example.com/v1beta", "https://example.com/v1beta", "https://example.com"),
        ("http://[::1]:8080/", "http://[::1]:8080", "http://[::1]:8080"),
        ("https://[2001:db8::5]/x", "https://[2001:db8::5]/x", "https://[2001:db8::5]"),
    ],
)
def test_addresses(url, base, origin):
    address = Address.parse(url)
    assert (address.base, address.origin) == (base, origin)
    assert address.encrypted is origin.startswith("https")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("127.255.255.254", True),
        ("[::1]", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("127.0.0.1.nip.io", False),
        ("localhost.localdomain", False),
        ("example.com", False),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("127.1", False),  # a resolver may read it as 127.0.0.1, or not
        ("2130706433", False),
        ("0x7f000001", False),
        ("192.168.1.2", False),
        ("[::]", False),
        ("[2001:db8::1]", False),
        ("[fe80::1]", False),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_only_what_is_this_machine_for_certain_is_loopback(scheme, host, loopback):
    assert Address.parse(f"{scheme}://{host}:8000/v1").loopback is loopback


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "127.0.0.1:8000",
        "//127.0.0.1",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://:8000",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://[::1",
        "http://exa mple.com",
        "http://exam\x01ple.com",
        "http://127.0.0.1/\x7f",
        "http://a..b",
        "http://" + "a" * 64 + ".com",
        "nonsense",
    ],
)
def test_what_is_no_address(url):
    with pytest.raises(
        SettingsError, match=r'^The setting "starfill.engine.url" is ".*write the address of the server'
    ):
        Address.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@127.0.0.1",
        "https://hunter2@example.com/v1",
        "https://:hunter2@example.com",
        "https://user:hunter2@example.com:99999",
        "https://user:hunter2@",
        "https://user:hunter2@[::1",
        "ftp://user:hunter2@example.com",
        "user:hunter2@example.com",
        "https://user:hunter2@exa mple.com",
        "http://127.0.0.1\\@hunter2.example.com",
        "https://example.com/v1?key=hunter2",
        "https://example.com/#hunter2",
        "ftp://example.com/?key=hunter2",
        "https://example.com:99999?key=hunter2",
    ],
)
def test_secrets_in_an_address_are_refused_and_not_shown(url):
    with pytest.raises(SettingsError, match=r"engine\.url.*holds a .*apiKeyEnv") as error:
        Address.parse(url)
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
