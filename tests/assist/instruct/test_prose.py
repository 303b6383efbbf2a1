"""Sentences and code, line by line."""

from __future__ import annotations

import pytest

from starfill.assist.instruct.prose import is_sentence, without_beginning, without_end


@pytest.mark.parametrize(
    "line",
    [
        "Here is the code:",
        "Here's the code:",
        "Sure!",
        "Absolutely!",
        "Example:",
        "**Explanation:**",
        "- It uses `f(x)` now.",
        "2. The loop (the inner one) is gone.",
        '  > He said "this, that".',
        "This function returns the sum of its two numbers",
        "which it then returns to the caller as you can see",
        "Diese Funktion gibt die Summe zurück.",
        "Функция возвращает сумму.",
        "该函数返回总和。",
        "Is this right?",
    ],
)
def test_sentences(line: str) -> None:
    assert is_sentence(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "- ",
        "x = 1",
        "def f():",
        "else:",
        "Default:",
        "END.",
        "DISPLAY THE NAME.",
        "return x",
        "# This is the comment.",
        "// This is the comment.",
        "-- This is the comment.",
        "/* This is the comment. */",
        " * This is the comment of a function;",
        '"""This is the docstring.',
        "print('This is it.')",
        "echo this is it",
        "for x in the_list:",
        "if a and b or not c:",
        "SELECT name FROM users WHERE id IS NULL",
        "from a import b",
        "name: This",
        "key:",
        "Foo::Bar.",
        "Foo.bar.",
        "end",
    ],
)
def test_code(line: str) -> None:
    assert not is_sentence(line)


CODE = ["f x y", "", "  This is inside."]


@pytest.mark.parametrize("blank", ["", "  "])
def test_around_code(blank: str) -> None:
    wrapped = ["This says what comes next and it goes", "on for two lines."]
    assert without_beginning(["Sure!", blank, *wrapped, blank, *CODE]) == CODE
    assert without_end([*CODE, blank, *wrapped, blank, "- One more."]) == CODE
    assert without_end([*CODE, "This is right behind it."]) == CODE
    assert without_beginning(["Sure!", blank]) == without_end([blank, "Done, as you can see."]) == []
