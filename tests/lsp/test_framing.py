import pytest

from starfill.lsp.framing import Framing


def message(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


GOOD = message(b'{"a": 1}')


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"", []),
        (GOOD, [b'{"a": 1}']),
        (GOOD + GOOD, [b'{"a": 1}', b'{"a": 1}']),
        (b"Content-Type: x; charset=utf-8\r\n" + GOOD, [b'{"a": 1}']),
        (b"Content-Length: 2\r\nContent-Type: x\r\n\r\n{}", [b"{}"]),
        (b"content-length:2\n\n{}", [b"{}"]),
        (message(b""), [b""]),
        (message("é\r\n\r\n".encode()), ["é\r\n\r\n".encode()]),
        (b"\r\n\r\n" + GOOD, [b'{"a": 1}']),
        (b"\x00\xff garbage\n" + GOOD, [None, b'{"a": 1}']),
        (b"\x00\xff\n\x01\n\x02\n" + GOOD + b"{}\n" + GOOD, [None, b'{"a": 1}', None, b'{"a": 1}']),
        (b"{}" + GOOD, [None, b'{"a": 1}']),
        (b"Content-Length: many\r\n\r\n" + GOOD, [b'{"a": 1}']),
        (b"Content-Length: -1\r\n\r\n" + GOOD, [b'{"a": 1}']),
        (b"Content-Length: 9999999999\r\n\r\n" + GOOD, [b'{"a": 1}']),
        (b"\xff" * 100_000 + b"\n" + GOOD, [None, b'{"a": 1}']),
        (message(b"{}")[:-1], []),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_bodies(stream, expected, step):
    framing = Framing()
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    assert [body for piece in pieces for body in framing.feed(piece)] == expected
