"""`make demo`: the bundled model fills in the middle of real files, through the real language server.

Runs `starfill doctor`, then opens files of this repository (which the model was not trained on) as an editor would,
deletes the rest of a line, asks for an inline completion, types on, and shows what came and how fast. With a file name
as argument it also saves the completions as an SVG picture (the one in the README).
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
SERVER = [sys.executable, "-m", "starfill", "serve", "--stdio"]
ENCODING = types.PositionEncodingKind.Utf32  # so that a column is a number of characters


@dataclass(frozen=True)
class Scene:
    """A place in a file: what is typed of a line, and how much of it at once before typing on by characters."""

    file: str
    line: str  # the line as it stands in the file, without indentation
    keep: str  # its beginning, up to the cursor


SCENES = [
    Scene(
        "server/starfill/assist/completion/token_healing.py", "self.token_bytes = token_bytes", "self.token_bytes = to"
    ),
    Scene("server/starfill/engine/decoding.py", "started: float | None = None", "started: float |"),
    Scene("server/starfill/lsp/models/model_loader.py", "async def settled(self) -> None:", "async def settled(self)"),
    Scene("server/starfill/lsp/transport.py", "except KeyboardInterrupt:", "except Key"),
    Scene("server/starfill/engine/kv/prefix_cache.py", "def held(self) -> int:", "def held(self)"),
    Scene("server/starfill/lsp/models/status.py", "self._status = status", "self._status ="),
    Scene("server/starfill/engine/kv/kv_cache.py", "self.length += tokens", "self.length "),
]

SETUP = """\
[bold]Feel it[/bold]       [cyan]{starfill} demo[/cyan] opens an editor in this terminal

[bold]In your editor[/bold] (more in clients/README.md):

[bold]VS Code[/bold]       cd clients/vscode && npm ci && npm run package
              code --install-extension dist/starfill.vsix
              and in its settings: "starfill.server.path": "{starfill}"

[bold]Neovim[/bold]        put into init.lua:
    vim.opt.rtp:append('{root}/clients/neovim')
    require('starfill').setup{{}}

[bold]Helix[/bold]         put into languages.toml:
    \\[language-server]
    starfill = {{ command = "{starfill}", args = ["--stdio"] }}
    then add "starfill" to the language-servers of your languages

[bold]Emacs[/bold]         put into init.el:
    (add-to-list 'load-path "{root}/clients/emacs")
    (with-eval-after-load 'eglot
      (require 'starfill)
      (add-to-list 'eglot-server-programs
                   '((python-mode python-ts-mode) . (starfill-server "{starfill}" "--stdio")))
      (add-hook 'eglot-managed-mode-hook #'starfill-ensure))
    (add-hook 'python-base-mode-hook #'eglot-ensure)

[bold]Any other[/bold]     start [cyan]{starfill} --stdio[/cyan] as a language server
"""


class Editor:
    """A minimal editor: one document at a time, inline completions, nothing else."""

    def __init__(self) -> None:
        self.client = LanguageClient("starfill-demo", "1")
        self.ready = asyncio.Event()

        @self.client.feature("starfill/status")
        def status(params: Any) -> None:
            if params.state == "ready":
                self.ready.set()
            elif params.state == "error":
                raise SystemExit(f"starfill: {params.message}")

    async def start(self) -> float:
        """Seconds until the model is ready."""
        began = time.perf_counter()
        await self.client.start_io(*SERVER)
        inline = types.TextDocumentClientCapabilities(inline_completion=types.InlineCompletionClientCapabilities())
        general = types.GeneralClientCapabilities(position_encodings=[ENCODING])
        capabilities = types.ClientCapabilities(text_document=inline, general=general)
        await self.client.initialize_async(types.InitializeParams(capabilities=capabilities))
        self.client.initialized(types.InitializedParams())
        await asyncio.wait_for(self.ready.wait(), 60)
        return time.perf_counter() - began

    def open(self, uri: str, text: str) -> None:
        item = types.TextDocumentItem(uri, types.LanguageKind.Python, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def type(self, uri: str, version: int, at: types.Position, text: str) -> None:
        change = types.TextDocumentContentChangePartial(types.Range(at, at), text)
        document = types.VersionedTextDocumentIdentifier(version, uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    async def complete(self, uri: str, at: types.Position) -> tuple[str, float, Any]:
        """The suggestion ("" when there is none), milliseconds, and the server's figures."""
        began = time.perf_counter()
        context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
        answer = await self.client.text_document_inline_completion_async(
            types.InlineCompletionParams(context, types.TextDocumentIdentifier(uri), at)
        )
        took = (time.perf_counter() - began) * 1e3
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        figures = await self.client.protocol.send_request_async("starfill/lastCompletion", {"uri": uri})
        return (str(items[0].insert_text) if items else ""), took, figures

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()


def shown(before: str, typed: str, ghost: str) -> Text:
    """The lines up to the cursor with the suggestion behind it, as an editor shows it."""
    text = Text("\n".join(f"    {line}" for line in before.splitlines()[-3:]) + "\n", style="dim")
    return text.append("    " + typed, style="not dim bold").append(
        ghost.replace("\n", "\n    ") or "(no suggestion)", style="not dim italic green"
    )


async def play(editor: Editor, scene: Scene, console: Console) -> None:
    """Open the file without the rest of the line, complete; then type one character more and complete again."""
    path = ROOT / scene.file
    before, line, after = path.read_text(encoding="utf-8").partition(scene.line)
    number, indent = before.count("\n"), before[before.rfind("\n") + 1 :]
    typed, rest = indent + scene.keep, line[len(scene.keep) :]
    uri = path.as_uri()
    editor.open(uri, before + scene.keep + after)
    at = types.Position(number, len(typed))
    ghost, cold, figures = await editor.complete(uri, at)
    console.print(f"[bold]{scene.file}:{number + 1}[/bold]")
    console.print(shown(before[: len(before) - len(indent)], typed, ghost))
    first = f"{cold:.0f} ms, {figures.computedTokens} tokens computed on opening the file"
    editor.type(uri, 2, at, rest[0])
    ghost, warm, figures = await editor.complete(uri, types.Position(number, len(typed) + 1))
    how = "typed through, no model call" if figures.source == "reuse" else f"{figures.computedTokens} computed"
    console.print(f"    [dim]{first}; then typing {rest[0]!r}: [bold]{warm:.0f} ms[/bold], {how}[/dim]\n")


async def main(picture: Path | None) -> int:
    Console().rule("starfill doctor")
    doctor = subprocess.run([sys.executable, "-m", "starfill", "doctor"], check=False)
    console = Console(highlight=False, record=picture is not None, width=100 if picture else None)
    console.rule("completions in real files, through the language server")
    editor = Editor()
    console.print(f"ready after {await editor.start():.1f} s\n")
    for scene in SCENES:
        await play(editor, scene, console)
    await editor.stop()
    if picture is not None:
        without_web_fonts = re.sub(r"@font-face {{.*?}}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        console.save_svg(str(picture), title="make demo", code_format=without_web_fonts)
    console.rule("set-up")
    starfill = Path(sys.executable).parent / "starfill"
    console.print(SETUP.format(starfill=starfill, root=ROOT), soft_wrap=True)
    return doctor.returncode


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)))
