"""A window of VS Code's workbench: what a user does and sees."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from editors.screen import PATIENCE, until
from editors.vscode.browser import Browser
from editors.vscode.code_server import EXTENSION, CodeServer
from editors.vscode.record import Record

# Of the editor with the focus: its lines without the ghost text; the ghost text, behind the cursor and on lines below.
# Monaco draws spaces as no-break ones, and lines in any order.
LOOK = """() => {
    const editor = document.querySelector('.monaco-editor.focused');
    const all = (element, selector) => [...(element?.querySelectorAll(selector) ?? [])];
    const text = (element) => element.textContent.replaceAll('\\u00a0', ' ');
    const ghosts = '.ghost-text-decoration, .ghost-text-decoration-preview';
    const lines = all(editor, '.view-lines > .view-line').sort((a, b) => parseInt(a.style.top) - parseInt(b.style.top));
    const bare = lines.map((line) => {
        const copy = line.cloneNode(true);
        all(copy, ghosts).forEach((ghost) => ghost.remove());
        return text(copy);
    });
    const below = all(editor, '.suggest-preview-text .view-line').map((line) => '\\n' + text(line));
    return [bare.join('\\n'), all(editor, ghosts).map(text).concat(below).join('')];
}"""
STATUS = "[...document.querySelectorAll('.statusbar-item')].find((e) => e.id.startsWith('starfill'))?.ariaLabel ?? ''"


class Window:
    """One page of the browser, with one folder open."""

    def __init__(
        self, server: CodeServer, browser: Browser, name: str, settings: Mapping[str, Any], files: Mapping[str, str]
    ) -> None:
        self.server, self.browser, self.name = server, browser, name
        self.folder = server.folder / name
        browser.windows.append(self)
        self.set(settings)
        for file, text in files.items():
            self.write(file, text)
        self.call("goto", f"http://{server.address}/?folder={quote(str(self.folder))}")
        self.wait(".explorer-folders-view .monaco-list-row")

    def set(self, settings: Mapping[str, Any]) -> None:
        """The settings of the folder; VS Code sees at once that they have changed."""
        self.write(".vscode/settings.json", json.dumps(settings))

    def write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def read(self, file: str) -> str:
        return (self.folder / file).read_bytes().decode()

    def changed(self, file: str, before: str) -> str:
        """What stands in it, once that is something else; it is empty in the moment in which VS Code writes it."""
        return str(until(lambda: (text := self.read(file)) != before and text, f"another {file}"))

    # ---- keys and clicks ----

    def press(self, *keys: str) -> None:
        for key in keys:
            self.call("keyboard.press", key)

    def type(self, text: str) -> None:
        self.call("keyboard.type", text)

    def click(self, selector: str, patience: float = PATIENCE) -> None:
        self.call("click", selector, {"timeout": 1000 * patience})

    # ---- what is seen; selectors as playwright understands them, with :has-text() and the like ----

    def wait(self, selector: str, state: str = "visible", patience: float = PATIENCE) -> None:
        self.call("waitForSelector", selector, {"state": state, "timeout": 1000 * patience})

    def text(self) -> str:
        """Of the editor with the focus, as far as it can be seen."""
        return str(self.call("evaluate", f"({LOOK})()")[0])

    def ghost(self) -> str:
        return str(self.call("evaluate", f"({LOOK})()")[1])

    def status(self) -> str:
        """The sentence of Starfill's item in the status bar."""
        return str(self.call("evaluate", STATUS))

    def screenshot(self, path: Path) -> None:
        self.call("screenshot", {"path": str(path)})

    def picture(self, name: str) -> None:
        """For the documentation, where they are to be made again."""
        if os.environ.get("STARFILL_PICTURES"):
            self.call("mouse.move", 200, 450)
            self.screenshot(EXTENSION / "images" / f"{name}.png")

    # ---- what a user does ----

    def tidy(self) -> None:
        """No question, menu, message or file is open any more."""
        until(self._tidied, "an empty window")

    def _tidied(self) -> bool:
        self.press("Escape", "Escape", "Control+F12")
        with contextlib.suppress(AssertionError):
            self.wait(".tab", "hidden", patience=10)
            return True
        return False

    def run(self, title: str) -> None:
        """A command of the palette."""
        self._pick(f">{title}", title)

    def open(self, file: str, text: str | None = None) -> None:
        """With the cursor at the end. text: to be written first."""
        if text is not None:
            self.write(file, text)
        self._pick(str(self.folder / file), Path(file).name)  # by its name it is looked for among those known
        self.wait(f".tab.active[data-resource-name={file!r}]")

    def edit(self, file: str, text: str | None = None) -> None:
        """`open`, and until the server knows the document."""
        self.open(file, text)
        self.wait(".monaco-editor.focused")
        self.press("Control+End")
        uri = self.uri(file)
        until(lambda: uri in self.record().documents(), f"{file} at the server")

    def suggestion(self, after: str = "") -> str:
        """Ghost text, once it is there. after: a character to be typed first."""
        if after:
            until(lambda: self._asked_after(after), "a request")
        until(self.ghost, "ghost text")
        return self.ghost()

    def _asked_after(self, character: str) -> bool:
        """VS Code makes the part that asks a moment after the editor, so that the first key can come too early."""
        before = len(self.record().sent("textDocument/inlineCompletion"))
        self.type(character)
        with contextlib.suppress(AssertionError):
            return until(lambda: len(self.record().sent("textDocument/inlineCompletion")) > before, "a request", 3)
        self.press("Backspace")
        return False

    def accept(self) -> None:
        before = self.accepted()
        self.press("Tab")
        until(lambda: self.accepted() > before, "the acceptance at the server")

    def accepted(self) -> int:
        commands = self.record().sent("workspace/executeCommand")
        return sum(command["command"] == "starfill.accepted" for command in commands)

    def choose_action(self, title: str) -> None:
        """Of the code actions at the cursor. VS Code closes their menu when it hears of something new: then again."""
        until(
            lambda: self._chosen(f".action-widget .monaco-list-row:has-text({json.dumps(title)})"),
            f"the action {title}",
        )

    def _chosen(self, row: str) -> bool:
        self.press("Control+.")
        with contextlib.suppress(AssertionError):
            self.click(row, patience=5)
            return True
        return False

    def save(self, file: str, expected: str) -> None:
        self.press("Control+s")
        until(lambda: self.read(file) == expected, f"{file} with {expected!r}, it has {self.read(file)!r}")

    def _pick(self, words: str, label: str) -> None:
        """Of the list that Control+P opens: a file, or a command after ">"."""
        row = f".quick-input-list .monaco-list-row.focused:has-text({json.dumps(label, ensure_ascii=False)})"
        until(lambda: self._listed(words, row), f"{words} in the list")
        self.press("Enter")
        self.wait(row, "hidden")

    def _listed(self, words: str, row: str) -> bool:
        """What happens elsewhere in the window can close the list."""
        self.press("Control+p")
        with contextlib.suppress(AssertionError):
            self.call("fill", ".quick-input-widget input:focus", words, {"timeout": 10_000})
            self.wait(row, patience=10)
            return True
        self.press("Escape")
        return False

    # ---- its language server ----

    def uri(self, file: str) -> str:
        return (self.folder / file).as_uri()

    def records(self) -> list[Record]:
        uri = self.folder.as_uri()
        return [record for record in self.server.records.all() if record.folder() == uri]

    def record(self) -> Record:
        """Of the newest server."""
        newest: Record = until(self.records, "a server")[-1]
        return newest

    def ready(self) -> None:
        until(lambda: self.record().state() == "ready", "the model")

    def last(self, file: str) -> dict[str, Any]:
        """What the last completion came to."""
        answer: dict[str, Any] = self.record().ask("starfill/lastCompletion", {"uri": self.uri(file)})
        return answer

    def call(self, call: str, *arguments: Any) -> Any:
        return self.browser.call(self.name, call, *arguments)
