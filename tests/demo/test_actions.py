"""Code actions: chosen in a menu, carried out by the server, shown or applied here."""

from textual.widgets import Markdown, OptionList

TITLES = ["explain", "simplify", "add docstring", "add type annotations", "write tests", "optimise"]


def menu(screen):
    """The titles in the menu, once it is open."""
    if len(screen.app.screen_stack) < 2:
        return []
    return [str(option.prompt) for option in screen.app.screen.query_one(OptionList).options]


def panel(screen):
    return screen.app.panel.query_one(Markdown).source if screen.app.panel.display else ""


async def choose(screen, title):
    await screen.press("f2")
    await screen.until(lambda: menu(screen) == TITLES)
    await screen.press(*["down"] * TITLES.index(title), "enter")


def test_the_explanation_grows_below_the_editor(theatre):
    async def play(screen):
        await screen.begin("#nothing\nold = 1\n", cursor=(1, 3))
        await screen.press("ctrl+e")
        await screen.until(lambda: "It adds **two** numbers" in panel(screen))
        assert "a.py:2" in panel(screen)
        assert screen.editor.has_focus
        await screen.press("escape")
        assert panel(screen) == ""
        assert screen.text == "#nothing\nold = 1\n"

    theatre.play(play)


def test_a_rewrite_is_one_step_of_undoing(theatre):
    async def play(screen):
        text = "#nothing\nold = 1\nfine = 2\nold = 3\n"
        await screen.begin(text, cursor=(1, 0))
        await screen.press("shift+down", "shift+down", "shift+end")
        await choose(screen, "simplify")
        await screen.until(lambda: screen.text == text.replace("old", "new"))
        assert screen.editor.selection.is_empty
        await screen.press("ctrl+z")
        assert screen.text == text

    theatre.play(play)


def test_what_was_typed_elsewhere_meanwhile_stays(theatre):
    async def play(screen):
        await screen.begin("#gate\nold = 1\n\nelsewhere\n", cursor=(1, 0))
        await choose(screen, "simplify")
        await screen.until(lambda: screen.state.startswith("simplify"))
        screen.editor.move_cursor((3, 9))
        await screen.type(" typed")
        screen.app.attempt(screen.app.client.accepted())  # opens the gate
        await screen.until(lambda: screen.text == "#gate\nnew = 1\n\nelsewhere typed\n")
        assert screen.editor.cursor_location == (3, 15)

    theatre.play(play)


def test_escape_stops_an_action(theatre):
    async def play(screen):
        await screen.begin("#endless\nold = 1\n", cursor=(1, 0))
        await screen.press("ctrl+e")
        await screen.until(lambda: screen.state.startswith("explain: ") and "tokens (Esc stops it)" in screen.state)
        await screen.until(lambda: "word word word" in panel(screen))
        await screen.until_ghost("42")
        await screen.press("escape")
        assert screen.ghost == ""
        await screen.press("escape")
        await screen.until(lambda: "*stopped*" in panel(screen))
        await screen.until(lambda: screen.state == "ready: bundled on cpu")

    theatre.play(play)


def test_tests_are_shown_since_there_is_one_file(theatre):
    async def play(screen):
        await screen.begin("#nothing\nold = 1\n", cursor=(1, 0))
        await choose(screen, "write tests")
        await screen.until(lambda: "def test_it():" in panel(screen))
        await screen.until(lambda: any("only one file" in toast for toast in screen.toasts))
        assert screen.text == "#nothing\nold = 1\n"

    theatre.play(play)


def test_a_refusal_and_a_warning_are_said(theatre):
    async def play(screen):
        await screen.begin("#refuse\nold = 1\n", cursor=(1, 0))
        await choose(screen, "simplify")
        await screen.until(lambda: any("cut off by the token limit" in toast for toast in screen.toasts))
        await screen.begin("#broken\nold = 1\n", cursor=(1, 0))
        await choose(screen, "simplify")
        await screen.until(lambda: screen.text == "#broken\nnew = 1\n")
        await screen.until(lambda: any("does not parse" in toast for toast in screen.toasts))

    theatre.play(play)


def test_what_is_not_to_be_had_says_why(theatre):
    async def play(screen):
        await screen.begin("#nothing\n" + "x = 1\n" * 200)
        await screen.press("f7", "f2")
        await screen.until(lambda: menu(screen))
        assert menu(screen)[0] == "explain: too long: select less code"
        await screen.press("enter", "escape")
        assert menu(screen) == []
        assert screen.editor.has_focus

    theatre.play(play)
