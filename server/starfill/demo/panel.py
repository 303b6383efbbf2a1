"""The panel below the editor, in which explanations grow."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Markdown


class Panel(VerticalScroll, can_focus=False):
    """uri: of the page that is shown, "" for none."""

    DEFAULT_CSS = """
    Panel { height: 40%; border-top: solid $primary; padding: 0 1; display: none; }
    Panel MarkdownH1 { margin: 0; content-align: left middle; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.uri = ""

    def compose(self) -> ComposeResult:
        yield Markdown(open_links=False)

    async def show(self, uri: str, text: str) -> None:
        self.uri, self.display = uri, True
        await self.query_one(Markdown).update(text)

    def close(self) -> None:
        self.uri, self.display = "", False
