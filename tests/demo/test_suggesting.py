"""Ghost text: shown, typed through, accepted, dismissed, and never out of date."""

import os
import signal

import pytest
from textual import events

from demo.screen import URI, demo, observed, played

LINES = "range(10):\n        print()"  # what the scripted server suggests in a document that begins with #lines


def test_it_is_shown_and_no_part_of_the_text(theatre):
    async def play(screen):
        await screen.begin("#lines\nfor x in ")
        await screen.until_ghost(LINES)
        assert screen.text == "#lines\nfor x in "
        assert screen.rows[:4] == ["1  #lines", "2  for x in range(10):", "           print()", ""]
        await screen.until(lambda: screen.how == "first token 2 ms, whole 4 ms: 3 computed, 7 cached tokens")
        assert screen.state == "ready: bundled on cpu"

    theatre.play(play)


def test_typing_through_keeps_the_rest_and_anything_else_does_not(theatre):
    async def play(screen):
        await screen.begin("#lines\n    for x in range(10)")
        await screen.until_ghost(LINES)
        screen.type_at_once("range(10):")
        assert screen.ghost == "\n        print()"
        screen.type_at_once("\n        ")
        assert screen.ghost == "print()"
        assert screen.rows[2] == "3          print()"
        screen.type_at_once("x")
        assert screen.ghost == ""

    theatre.play(play)


def test_tab_accepts_in_one_step_of_undoing(theatre):
    async def play(screen):
        await screen.begin("#lines\nfor x in ")
        await screen.until_ghost(LINES)
        await screen.press("tab")
        assert screen.text == "#lines\nfor x in " + LINES
        assert screen.editor.cursor_location == (2, 15)
        await screen.press("ctrl+z")
        assert screen.text == "#lines\nfor x in "
        screen.type_at_once("#notes")
        screen.editor.replace("#notes", (0, 0), (0, 6))
        await screen.until(lambda: f"accepted {URI}" in screen.ghost)

    theatre.play(play)


def test_tab_indents_where_nothing_is_suggested(theatre):
    async def play(screen):
        await screen.begin("#nothing\n")
        await screen.until(lambda: screen.how == "no suggestion: there is nothing to say")
        await screen.press("tab", "x", "tab")
        assert screen.text == "#nothing\n    x   "

    theatre.play(play)


def test_escape_dismisses_until_something_is_typed(theatre):
    async def play(screen):
        await screen.begin("#lines\n")
        await screen.until_ghost(LINES)
        await screen.press("escape")
        assert (screen.text, screen.ghost) == ("#lines\n", "")
        assert screen.editor.has_focus
        await screen.press("x")
        await screen.until_ghost(LINES)

    theatre.play(play)


def test_a_word_is_accepted(theatre):
    async def play(screen):
        await screen.begin("#lines\n")
        await screen.until_ghost(LINES)
        screen.editor.action_cursor_word_right()
        assert (screen.text, screen.ghost) == ("#lines\nrange", LINES[5:])
        screen.editor.action_cursor_word_right()
        assert (screen.text, screen.ghost) == ("#lines\nrange(", LINES[6:])
        await screen.until_ghost(LINES)
        await screen.press("ctrl+right")
        assert screen.text == "#lines\nrange(range"

    theatre.play(play)


def test_moving_the_cursor_inserts_nothing(theatre):
    async def play(screen):
        for key in ("right", "left", "up", "home", "shift+left", "ctrl+left"):
            await screen.begin("#text\nabc", cursor=(1, 2))
            await screen.until_ghost("#text\nabc")
            await screen.press(key)
            assert (screen.text, screen.ghost) == ("#text\nabc", ""), key

    theatre.play(play)


def test_enter_keeps_the_indentation(theatre):
    async def play(screen):
        await screen.begin("#nothing\n    if x")
        await screen.type(":\nx\n")
        assert screen.text == "#nothing\n    if x:\n        x\n        "
        await screen.begin("#nothing\n\tif x {")
        screen.editor.indent_type = "tabs"
        await screen.press("enter")
        screen.editor.indent_type = "spaces"
        assert screen.text == "#nothing\n\tif x {\n\t\t"

    theatre.play(play)


def test_what_is_replaced_is_hidden(theatre):
    async def play(screen):
        await screen.begin("#quoted\nprint('')", cursor=(1, 7))
        await screen.until_ghost("text'")
        assert screen.rows[1] == "2  print('text')"
        screen.type_at_once("te")
        assert screen.rows[1] == "2  print('text')"
        await screen.press("ctrl+z")
        await screen.until_ghost("text'")
        await screen.press("tab")
        assert screen.text == "#quoted\nprint('text')"

    theatre.play(play)


def test_what_stands_after_the_cursor_stands_after_the_suggestion(theatre):
    async def play(screen):
        await screen.begin("#lines\n[x for x in ]\nlast = 1\n" + "\n" * 100, cursor=(1, 12))
        await screen.until_ghost(LINES)
        assert screen.rows[:5] == [
            "  1  #lines",
            "  2  [x for x in range(10):",
            "             print()]",
            "  3  last = 1",
            "  4",
        ]
        await screen.pilot.click(screen.editor, offset=(7, 3))
        assert (screen.editor.cursor_location, screen.ghost) == ((2, 2), "")

    theatre.play(play)


def test_it_may_be_longer_than_any_line(theatre):
    async def play(screen):
        await screen.begin("#text")
        await screen.until_ghost("#text")
        assert screen.rows[0] == "1  #text#text"

    theatre.play(play)


def test_a_superseded_request_is_cancelled(theatre):
    async def play(screen):
        await screen.begin("#wait\n")
        await screen.until(lambda: screen.state.startswith("busy"))
        await screen.type("x")
        screen.editor.replace("#notes", (0, 0), (0, 5))
        await screen.until(lambda: f"cancelled {URI}" in screen.ghost)

    theatre.play(play)


def test_what_comes_too_late_is_not_shown(theatre):
    async def play(screen):
        await screen.begin("#block\n")
        await screen.until(lambda: screen.state.startswith("busy"))
        await screen.press("escape", "up")
        await screen.until(lambda: screen.state.startswith("ready"))
        assert screen.ghost == ""

    theatre.play(play)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_server_has_the_same_text(theatre, newline):
    async def play(screen):
        await screen.begin(newline.join(["#text", "", "", "aa", "", "é😀b", ""]), cursor=(3, 1))
        for keys in (
            ["a", "backspace", "enter", "down", "down", "end", "😀"],
            ["ctrl+z", "ctrl+z", "ctrl+y", "ctrl+k", "delete", "up", "ctrl+shift+k"],
            ["enter", "x", "y", "shift+left", "b"],
        ):
            await screen.press(*keys)
            await screen.press("escape", "ctrl+@")
            await screen.until_ghost(screen.text.replace("\r\n", "\n"))
        await screen.press("f7", *"#text", "enter", "x")
        screen.app.post_message(events.Paste("1\f2\r\n3\u20284\n"))
        await screen.until_ghost("#text\nx1\n2\n3\n4\n")
        assert screen.text == newline.join(["#text", "x1", "2", "3", "4", ""])

    theatre.play(play)


@played
async def test_nobody_waits_for_a_server_that_hangs(tmp_path):
    command, process = observed(tmp_path)
    async with demo("#text\n", command=command) as screen:
        await screen.until_ghost("#text\n")
        os.kill(process(), signal.SIGSTOP)
        await screen.type("print(1)\n")
        assert screen.text == "#text\nprint(1)\n"
    with pytest.raises(ProcessLookupError):
        os.kill(process(), 0)


@played
async def test_a_server_that_ends_is_said_and_the_text_stays(tmp_path):
    command, process = observed(tmp_path)
    async with demo("#text\n", command=command) as screen:
        os.kill(process(), signal.SIGKILL)
        await screen.until(lambda: screen.state.startswith("the server has ended with code -9"))
        await screen.until(lambda: any("save it and start again" in toast for toast in screen.toasts))
        await screen.type("x")
        await screen.press("f2")
        await screen.until(lambda: len(screen.toasts) == 2)
        assert screen.text == "#text\nx"
