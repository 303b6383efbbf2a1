"""What the status line says while there is no model."""

import os
import signal

from textual.widgets import Label

from demo.screen import demo, observed, played


@played
async def test_progress_and_an_error(tmp_path):
    command, process = observed(tmp_path)
    async with demo("text", command, state="loading the model: ", model="talkative") as screen:
        os.kill(process(), signal.SIGUSR1)
        await screen.until(lambda: " % " in screen.state)
        await screen.until(lambda: "50 %" in screen.state)
        os.kill(process(), signal.SIGUSR1)
        await screen.until(lambda: screen.state == "ready: talkative on cpu")
        await screen.until(lambda: screen.ghost == "42")


@played
async def test_an_error():
    async with demo("text", state="error: The folder missing has no config.json", model="missing") as screen:
        await screen.until(lambda: any("name a checkpoint folder" in toast for toast in screen.toasts))
        await screen.press("x")
        await screen.until(lambda: screen.how.startswith("no suggestion: The folder missing"))


@played
async def test_a_model_that_is_not_here_is_downloaded_after_a_yes():
    async with demo("text", state="error: hub/x was not pulled", model="hub/x") as screen:

        def question() -> str:
            labels = screen.app.screen.query(Label) if len(screen.app.screen_stack) == 2 else ()
            return " ".join(str(label.content) for label in labels)

        await screen.until(lambda: "Ask the hub how large it is" in question())
        await screen.press("enter")
        await screen.until(lambda: "7.3 GB are to be downloaded" in question())
        await screen.press("enter")
        await screen.until(lambda: screen.state == "ready: x on cpu")
