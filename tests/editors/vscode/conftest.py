"""One VS Code for all of its tests. See found.py for where the editors come from."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from editors.vscode import typist
from editors.vscode.browser import Browser
from editors.vscode.code_server import ROOT, CodeServer
from editors.vscode.window import Window

FAILED = ROOT / "build" / "editors"  # screenshots


@pytest.fixture(scope="package")
def code_server() -> Iterator[CodeServer]:
    with tempfile.TemporaryDirectory(prefix="vscode-", ignore_cleanup_errors=True) as folder:
        server = CodeServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="package")
def browser(code_server: CodeServer) -> Iterator[Browser]:
    browser = Browser(code_server.folder / "chromium", code_server.folder / "browser.log", code_server.env)
    try:
        yield browser
    finally:
        browser.stop()


@pytest.fixture(scope="package")
def typing_user(code_server: CodeServer, browser: Browser) -> typist.Typist:
    """A minute of typing in a window of its own, while the other tests run."""
    return typist.Typist(Window(code_server, browser, "typing", typist.SETTINGS, {typist.FILE: ""}))


@pytest.fixture(scope="package")
def main_window(request: pytest.FixtureRequest, code_server: CodeServer, browser: Browser) -> Window:
    if any("typing_user" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("typing_user")
    window = Window(code_server, browser, "main", {}, {})
    window.press("Control+b")  # the list of files leaves the screen
    window.ready()
    return window


@pytest.fixture
def window(main_window: Window) -> Window:
    """With nothing open."""
    main_window.tidy()
    return main_window


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed in VS Code: with what is on the screen, and what was last said to the server and by it."""
    report = yield
    browser: Any = getattr(item, "funcargs", {}).get("browser")
    if report.failed and isinstance(browser, Browser):
        FAILED.mkdir(parents=True, exist_ok=True)
        for window in browser.windows:
            picture = FAILED / f"{item.name}-{window.name}.png"
            with contextlib.suppress(AssertionError):  # it was closed
                window.screenshot(picture)
                report.sections.append(("screenshot", str(picture)))
            messages = [str(entry)[:200] for record in window.records() for entry in record.entries()[-30:]]
            report.sections.append((f"between VS Code and the server of {window.name}", "\n".join(messages)))
    return report
