"""The whole way, with the bundled model: from the start to accepting, typing through and the next suggestion."""

from demo.picture import BEGINNING, SERVER, picture
from demo.screen import demo, played
from starfill.demo.buffer import Buffer


@played
async def test_from_the_first_suggestion_to_the_last():
    async with demo(buffer=Buffer.sample(), command=SERVER) as screen:
        await screen.until_ghost(BEGINNING)
        await screen.until(lambda: screen.how.startswith("first token"))
        row, _ = screen.editor.cursor_location
        assert screen.rows[row].endswith("        self.title = title")
        assert screen.rows[row + 1].endswith("        self.author = author")
        assert screen.rows[row + 3].endswith("def __repr__(self):")
        drawn = picture(screen)
        assert "self.author&#160;=&#160;author" in drawn
        assert "http" not in drawn.replace("http://www.w3.org", "").replace("https://www.textualize.io", "")

        await screen.type("self")
        assert screen.ghost == BEGINNING.removeprefix("self")
        await screen.until(lambda: screen.how == "typed through: no model call")
        assert screen.ghost == BEGINNING.removeprefix("self")
        await screen.press("ctrl+right", "tab")
        assert f"def __init__(self, title, author):\n        {BEGINNING}\n" in screen.text

        line = screen.text.split("\n").index("    def __iter__(self):")
        screen.editor.move_cursor((line, 0))
        await screen.press("end", "enter")
        await screen.until_ghost("return iter(self.books)")
        await screen.press("tab")
        assert "    def __iter__(self):\n        return iter(self.books)\n" in screen.text
        compile(screen.text, "sample.py", "exec")
