"""What is edited: a file, written only on demand, or the sample."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from textual.widgets import OptionList

from demo.screen import demo, played
from starfill.cli.main import main
from starfill.demo.buffer import Buffer
from starfill.demo.sample import CURSOR, SAMPLE
from starfill.errors import RequestError

NO_SERVER = [sys.executable, "-c", "raise SystemExit('no server today')"]


@played
async def test_a_file_is_written_only_when_it_is_saved(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    async with demo(buffer=Buffer.file(path), command=NO_SERVER, state="the server") as screen:
        assert "no server today" in screen.state
        assert screen.name == "starfill demo: a.py"
        await screen.press("x")
        await screen.until(lambda: screen.name == "starfill demo: a.py •")
        assert path.read_bytes() == b"\xef\xbb\xbfone\r\ntwo\r\n"
        await screen.press("ctrl+s")
        assert path.read_bytes() == b"\xef\xbb\xbfxone\r\ntwo\r\n"
        assert screen.name == "starfill demo: a.py"

        path.write_text("by somebody else")
        await screen.press("y", "ctrl+s")
        await screen.until(lambda: any("has changed meanwhile" in toast for toast in screen.toasts))
        assert path.read_text() == "by somebody else"

        await screen.press("ctrl+q")
        await screen.until(lambda: len(screen.app.screen_stack) == 2)
        assert screen.app.screen.query_one(OptionList).option_count == 3
        await screen.press("escape")
        assert screen.app.is_running
        await screen.press("ctrl+q")
        await screen.until(lambda: len(screen.app.screen_stack) == 2)
        await screen.press("down", "enter")
        await screen.until(lambda: not screen.app.is_running)
    assert path.read_text() == "by somebody else"


@played
async def test_the_sample_is_saved_nowhere_and_left_without_a_question(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with demo(buffer=Buffer.sample(), command=["no-such-program"], state="the server can't") as screen:
        assert screen.text == SAMPLE.replace(CURSOR, "")
        await screen.until(lambda: screen.editor.cursor_location == Buffer.sample().cursor)
        await screen.press("x", "ctrl+s")
        await screen.until(lambda: any("starfill demo FILE" in toast for toast in screen.toasts))
        await screen.press("ctrl+q")
        await screen.until(lambda: not screen.app.is_running)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"a\r\nb\n", b"a\x0cb\n", "a\u2028b\n".encode()])
def test_a_file_that_saving_would_change_is_refused(tmp_path, data):
    path = tmp_path / "a.py"
    path.write_bytes(data)
    with pytest.raises(RequestError, match="line ends"):
        Buffer.file(path)


def test_without_a_terminal_it_says_so():
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 2
    assert result.stderr.startswith("starfill: demo is an editor and needs a terminal")
    assert result.stderr.count("\n") == 1
    assert (
        CliRunner()
        .invoke(main, ["demo", "--device", "tpu"])
        .stderr.startswith('starfill: The setting "starfill.device"')
    )


def test_help_and_the_server_import_no_user_interface():
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from starfill.cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "import starfill.app.backend, starfill.lsp.transport\n"
        "assert 'textual' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
