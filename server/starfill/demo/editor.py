"""The text area with ghost text: how a suggestion is shown, typed through and accepted."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Offset, Size
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult, Location

from starfill.demo.ghost_text import Ghost

HIGHLIGHTED = {
    "go": "go", "java": "java", "javascript": "javascript", "javascriptreact": "javascript", "python": "python",
    "rust": "rust", "shellscript": "bash",
}  # fmt: skip
"""Languages of the protocol, and Textual's names of those that it can colour with the grammars that we have."""
# characters; Textual highlights the whole text again with each key, which is noticeable at 30,000
_MOST_HIGHLIGHTED = 20_000
_OPENERS = (":", "{", "(", "[")  # the ends of lines after which the next line is indented further
_ROOM = 200  # cells beyond the longest line, where Textual would cut a suggestion off


class TextEditor(TextArea):
    """The ghost text ends with the next change or movement, unless the suggestion is typed through. It is never part of
    the text.
    """

    DEFAULT_CSS = """
    TextEditor, TextEditor:focus {
        border: none;
        padding: 0;
        scrollbar-size-horizontal: 0;
        scrollbar-size-vertical: 1;
    }
    TextEditor .text-area--suggestion {
        color: #8fb88f;
        text-style: italic;
    }
    """

    ghost: Ghost | None = None  # on the class, since Textual asks for it while an editor is being made
    _ghost_at: Location = (0, 0)

    class Accepted(Message):
        """The whole suggestion, or its last part, was inserted."""

    def __init__(self, text: str, language: str) -> None:
        super().__init__(
            text,
            language=HIGHLIGHTED.get(language) if len(text) <= _MOST_HIGHLIGHTED else None,
            theme="monokai",
            soft_wrap=False,
            tab_behavior="indent",
            show_line_numbers=True,
            max_checkpoints=1000,
        )
        if "\n\t" in text:
            self.indent_type = "tabs"

    # The life of the ghost text

    def show(self, ghost: Ghost | None) -> None:
        self.ghost, self._ghost_at = ghost, self.cursor_location
        self.suggestion = ghost.lines[0] if ghost else ""
        self.refresh()

    def accept(self) -> None:
        """Insert the suggestion. One undo reverts it."""
        if self.ghost is not None:
            row, column = self.cursor_location
            after = (row, column + self.ghost.over)
            self.replace(self.ghost.text, (row, column), after, maintain_selection_offset=False)
            self.post_message(self.Accepted())

    def edit(self, edit: Edit) -> EditResult:
        ghost, at = self.ghost, self.cursor_location
        result = super().edit(edit)
        if ghost is not None and edit.top == edit.bottom == at and self.cursor_location == result.end_location:
            typed = self.get_text_range(at, result.end_location)
            self.show(ghost.without(typed.replace(self.document.newline, "\n")))
        return result

    def update_suggestion(self) -> None:
        """Called by Textual after each change."""
        self.show(None)

    def watch_selection(self) -> None:
        if self.ghost is not None and self.cursor_location != self._ghost_at:
            self.show(None)

    # Keys

    async def on_key(self, event: events.Key) -> None:
        """Before Textual's own handler, which indents with Tab and breaks a line without regard to its indentation."""
        if event.key == "tab" and self.ghost is not None:
            self.accept()
        elif event.key == "enter":
            self._break_line()
        else:
            return
        event.prevent_default()
        event.stop()

    def action_cursor_word_right(self, select: bool = False) -> None:
        """Ctrl+Right accepts a word of the suggestion."""
        if self.ghost is None or select:
            super().action_cursor_word_right(select)
        elif self.ghost.word == self.ghost.text:
            self.accept()
        else:
            self.insert(self.ghost.word, maintain_selection_offset=False)

    def action_cursor_right(self, select: bool = False) -> None:
        """Only moves. Textual's own would insert the suggestion."""
        self.show(None)
        super().action_cursor_right(select)

    def _break_line(self) -> None:
        start, end = sorted(self.selection)
        before = self.document.get_line(start[0])[: start[1]]
        indent = before[: len(before) - len(before.lstrip())]
        if before.rstrip().endswith(_OPENERS):
            indent += "\t" if self.indent_type == "tabs" else " " * self.indent_width
        self.replace(f"\n{indent}", start, end, maintain_selection_offset=False)

    # Drawing: the lines below the cursor's make room for the further lines of the suggestion; those above it stay

    def render_line(self, y: int) -> Strip:
        ghost, below = self.ghost, y + self.scroll_offset.y - self._cursor_cell.y
        if ghost is None or below < 0:
            return super().render_line(y)
        last = len(ghost.lines) - 1
        if below > last:
            return super().render_line(y - last)
        if last == 0 and not ghost.over:
            return super().render_line(y)
        line = super().render_line(y - below)
        head, rest = self._parted(line, ghost)
        beyond = list(line)[-1].style if below == 0 else self.rich_style
        if below > 0:
            head = self._further_line(ghost.lines[below])
        return Strip.join([head, rest] if below == last else [head]).adjust_cell_length(self.size.width, beyond)

    def get_target_document_location(self, event: events.MouseEvent) -> Location:
        """The place in the text under the mouse, without the lines that the suggestion takes."""
        x = event.x - self.gutter_width + self.scroll_offset.x - self.gutter.left
        y = event.y + self.scroll_offset.y - self.gutter.top
        if self.ghost is not None:
            cursor = self._cursor_cell
            if y > cursor.y:
                y = max(cursor.y, y - len(self.ghost.lines) + 1)
            elif y == cursor.y and x > cursor.x:
                x = max(cursor.x, x - cell_len(self.ghost.lines[0]))
        return self.wrapped_document.offset_to_location(Offset(x, y))

    def validate_virtual_size(self, size: Size) -> Size:
        return Size(size.width + _ROOM, size.height)

    @property
    def _cursor_cell(self) -> Offset:
        return self.wrapped_document.location_to_offset(self.cursor_location)

    def _parted(self, line: Strip, ghost: Ghost) -> tuple[Strip, Strip]:
        """The cursor's line up to the end of the suggestion's first line, and the text to draw after its last."""
        row, column = self.cursor_location
        text = self.document.get_line(row)
        shown = (text[:column] + ghost.lines[0]).expandtabs(self.indent_width)
        end = self.gutter_width + cell_len(shown) - self.scroll_offset.x
        start = end + cell_len(text[column : column + ghost.over])
        return line.crop(0, end), line.crop(start, start + cell_len(text[column + ghost.over :]))

    def _further_line(self, text: str) -> Strip:
        style = self.get_component_rich_style("text-area--suggestion")
        text_strip = Strip([Segment(text.expandtabs(self.indent_width), style)])
        gutter = Strip([Segment(" " * self.gutter_width)])
        return Strip.join([gutter, text_strip.crop(self.scroll_offset.x)]).apply_style(self.rich_style)
