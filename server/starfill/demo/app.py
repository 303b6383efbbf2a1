"""The full-screen application: its layout, and what the keys do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.notifications import SeverityLevel
from textual.widgets import Static, TextArea

from starfill.demo import status_text
from starfill.demo.buffer import Buffer
from starfill.demo.client import Client, Json
from starfill.demo.editor import TextEditor
from starfill.demo.menu import Menu, MenuEntry
from starfill.demo.panel import Panel
from starfill.demo.receiver import Receiver
from starfill.demo.rpc import ServerConnection, ServerError
from starfill.demo.suggesting import Suggesting
from starfill.errors import StarfillError

ON_THE_EDITOR = ("save", "actions", "explain", "suggest", "escape", "leave")


class Demo(App[None]):
    """command, options: how the server is started, and its settings."""

    TITLE = "starfill demo"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    .bar { height: 1; padding: 0 1; background: $panel; text-wrap: nowrap; text-overflow: ellipsis; }
    #state { color: $text; }
    #how { color: $text-muted; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", priority=True),
        Binding("f2", "actions", priority=True),
        Binding("ctrl+e", "explain", priority=True),
        Binding("ctrl+@,ctrl+space", "suggest", priority=True),
        Binding("escape", "escape", priority=True),
        Binding("ctrl+q", "leave", priority=True),
        Binding("ctrl+up", "scroll_panel(-1)", priority=True),
        Binding("ctrl+down", "scroll_panel(1)", priority=True),
    ]

    def __init__(self, buffer: Buffer, command: Sequence[str], options: Mapping[str, Any]) -> None:
        super().__init__()
        self.buffer, self._command, self._options = buffer, command, options
        self.editor = TextEditor(buffer.text, buffer.language)
        self.panel = Panel()
        self.name_bar, self.how_bar, self.state_bar = (
            Static(classes="bar", id=each) for each in ("name", "how", "state")
        )
        self.receiver = Receiver(self)
        self.client = Client(ServerConnection(self.receiver.heard, self.receiver.answers, self.receiver.gone), buffer)
        self.suggesting = Suggesting(self.editor, self.client, self.show_how)

    def compose(self) -> ComposeResult:
        yield self.name_bar
        yield self.editor
        yield self.panel
        yield self.how_bar
        yield self.state_bar
        yield Static(_hints(), classes="bar")

    def on_mount(self) -> None:
        self.call_after_refresh(self.editor.move_cursor, self.buffer.cursor)  # scrolls, once the size is known
        self.editor.focus()
        self.show_name()
        self.show_state("starting")
        self.run_worker(self._start())

    async def _start(self) -> None:
        try:
            await self.client.start(self._command, self._options)
        except (OSError, ServerError) as error:
            self.receiver.gone(f"the server can't be started: {error}")
        else:
            self.suggesting.open()

    async def on_unmount(self) -> None:
        self.suggesting.drop()
        await self.client.stop()

    # What is shown

    def show_name(self) -> None:
        mark = " •" if self.buffer.is_changed(self.editor.text) else ""
        self.name_bar.update(Content(f"starfill demo: {self.buffer.name}{mark}"))

    def show_state(self, text: str) -> None:
        self.state_bar.update(Content(text))

    def show_how(self, figures: Json) -> None:
        self.how_bar.update(Content(status_text.how(figures)))

    # What happens in the editor

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        self.suggesting.changed()
        self.show_name()

    def on_text_editor_accepted(self, event: TextEditor.Accepted) -> None:
        self.suggesting.changed()
        self.attempt(self.client.accepted())

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a menu is open, it gets the keys."""
        return len(self.screen_stack) == 1 or action not in ON_THE_EDITOR

    def action_suggest(self) -> None:
        self.suggesting.ask(invoked=True)

    def action_escape(self) -> None:
        """Dismisses the suggestion; without one, stops what is running; if nothing is, closes the panel."""
        self.suggesting.drop()
        if self.editor.ghost is not None:
            self.editor.show(None)
        elif token := self.receiver.stoppable:
            self.client.stop_work(token)
        else:
            self.panel.close()

    def action_scroll_panel(self, lines: int) -> None:
        self.panel.scroll_relative(y=lines, animate=False)

    def action_save(self) -> None:
        try:
            self.buffer.save(self.editor.text)
        except StarfillError as error:
            self.say(str(error), "warning")
        self.show_name()

    def action_explain(self) -> None:
        self.suggesting.changed()
        self.attempt(self.client.explain(*self.editor.selection))

    def action_actions(self) -> None:
        self.attempt(self._act())

    def action_leave(self) -> None:
        self.run_worker(self._leave())

    async def _act(self) -> None:
        self.suggesting.changed()
        actions = await self.client.actions(*self.editor.selection)
        choices = [MenuEntry(status_text.plain(each["title"]), _why_not(each)) for each in actions]
        if not choices:
            self.say("there are no actions here", "information")
            return
        chosen = await self.choose("What to do with this code?", choices)
        if chosen is not None:
            await self.client.carry_out(actions[chosen])

    async def _leave(self) -> None:
        if self.buffer.is_changed(self.editor.text):
            answers = [MenuEntry("Save and quit"), MenuEntry("Quit without saving"), MenuEntry("Stay")]
            chosen = await self.choose(f"{self.buffer.name} has changes.", answers)
            if chosen in (None, 2):
                return
            if chosen == 0:
                self.action_save()
                if self.buffer.is_changed(self.editor.text):
                    return
        self.exit()

    # For the receiver of the server's messages

    def attempt(self, request: Coroutine[Any, Any, None]) -> None:
        """Start a request without waiting for it. An error is shown."""

        async def attempted() -> None:
            try:
                await request
            except ServerError as error:
                self.say(str(error), "error")

        self.run_worker(attempted())

    async def choose(self, title: str, choices: Sequence[MenuEntry]) -> int | None:
        """The number of the user's choice."""
        chosen: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        await self.push_screen(Menu(title, choices), chosen.set_result)
        return await chosen

    def say(self, message: str, severity: SeverityLevel) -> None:
        self.notify(message, severity=severity, markup=False)


def _why_not(action: Json) -> str:
    return str(action["disabled"]["reason"]) if action.get("disabled") else ""


def _hints() -> Content:
    return Content("  ").join([Content.assemble((key, "bold"), f" {what}") for key, what in status_text.HINTS])
