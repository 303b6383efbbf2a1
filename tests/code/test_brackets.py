import pytest

from starfill.code.brackets import auto_closed, scan

AUTO_CLOSED = [
    ("print(", ")", ")"),
    ("print(", ") + x", ")"),
    ("f(g(", "))", "))"),
    ("f(g(", ")", ")"),
    ("f(g(x)", ")", ")"),
    ("f(x)", ")", ""),
    ("f(", "]", ""),
    ("x = [", "]", "]"),
    ("x = {", "}", "}"),
    ("x = {'a': [(", ")]}", ")]}"),
    ('x = "', '"', '"'),
    ('x = ""', '"', ""),
    ('x = """', '"""', '"""'),
    ('x = "a\\"', '"', '"'),
    ("x = 'it", "'", "'"),
    ("x = \"it's", '"', '"'),
    ('x = f"{', '}"', '}"'),
    ("x = f'{", "}'", "}'"),
    ("don't f(", ")", ")"),
    ('f("(")', ")", ""),
    ("", ")", ""),
    ("f(", "", ""),
    ("f(", " )", ""),
]


@pytest.mark.parametrize(("left", "right", "closers"), AUTO_CLOSED)
def test_closers_right_of_the_cursor_that_close_what_is_open_left_of_it(left: str, right: str, closers: str) -> None:
    assert auto_closed(left, right) == closers


OPEN = [
    ("f(a, [b", ("(", "[")),
    ("f(a)", ()),
    ("f(')'", ("(",)),
    ("# it's (\n", ("(",)),
    ("x = 'never ended (\nf(", ("(",)),
    ('"""doc (\n', ('"""', "(")),
    ("a ] (", ("(",)),
    ("f({)", ()),
]


@pytest.mark.parametrize(("text", "stack"), OPEN)
def test_what_is_open_after_a_text(text: str, stack: tuple[str, ...]) -> None:
    assert scan(text).open == stack


CLOSING = [
    ("a)", ("(",), [(1, ")", True)]),
    ("a)", (), [(1, ")", False)]),
    ("(a))", ("(",), [(3, ")", True)]),
    ("]})", ("(", "{", "["), [(0, "]", True), (1, "}", True), (2, ")", True)]),
    ('a", b', ('"',), [(1, '"', True)]),
    ("')'", (), []),
]


@pytest.mark.parametrize(("text", "before", "closing"), CLOSING)
def test_closers_that_reach_out_of_a_text(
    text: str, before: tuple[str, ...], closing: list[tuple[int, str, bool]]
) -> None:
    assert [(each.start, each.text, each.fits) for each in scan(text, before).closing] == closing
