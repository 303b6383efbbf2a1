"""The demo with the bundled model as a picture, like the one in docs/commands.md.

PYTHONPATH=tests python -m demo.picture FILE.svg
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from demo.screen import Screen, demo
from starfill.demo.buffer import Buffer

SERVER = [sys.executable, "-m", "starfill", "--stdio"]
BEGINNING = "self.title = title\n        self.author = author"
"""What the bundled model suggests where the sample begins."""


def picture(screen: Screen) -> str:
    """What is on the screen as SVG, without fonts from the web."""
    return re.sub(r"@font-face {.*?}", "", screen.app.export_screenshot(title="starfill demo"), flags=re.DOTALL)


async def main(file: Path) -> None:
    async with demo(buffer=Buffer.sample(), command=SERVER) as screen:
        screen.editor.cursor_blink = False
        await screen.until(lambda: screen.ghost == BEGINNING and screen.how.startswith("first token"))
        await screen.press("enter", "ctrl+z")  # so that the figures are those of typing, not of opening a file
        await screen.until(lambda: screen.ghost == BEGINNING and not screen.how.endswith(" 0 cached"))
        file.write_text(picture(screen), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
