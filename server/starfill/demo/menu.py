"""A small menu over the editor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """why_not: the reason why it can't be chosen; None if it can."""

    title: str
    why_not: str = ""


class Menu(ModalScreen[int | None]):
    """Returns the number of the choice; None if the user chose nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f2", "dismiss(None)", "close")]

    DEFAULT_CSS = """
    Menu { align: center middle; background: $background 40%; }
    Menu > Vertical { width: auto; min-width: 40; max-width: 90%; height: auto; max-height: 80%; border: round $primary;
        background: $surface; padding: 0 1; }
    Menu Label { width: auto; max-width: 100%; }
    Menu OptionList { width: auto; min-width: 36; height: auto; max-height: 100%; border: none; padding: 0; }
    Menu OptionList:focus { border: none; }
    """

    def __init__(self, title: str, choices: Sequence[MenuEntry]) -> None:
        super().__init__()
        self._title, self._choices = title, choices

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(Content(self._title))
            yield OptionList(
                *(
                    Option(
                        Content(f"{each.title}: {each.why_not}" if each.why_not else each.title),
                        disabled=bool(each.why_not),
                    )
                    for each in self._choices
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)
