"""A minute of typing in VS Code; begun by conftest.py, so that it goes on while other tests run."""

from __future__ import annotations

from statistics import median

from editors.vscode.typist import FILE, Typist
from editors.vscode.window import Window

MIB = 1 << 20


def test_a_minute_of_typing_loses_no_key_and_inserts_nothing(main_window: Window, typing_user: Typist) -> None:
    assert typing_user.finish() < 0.1 * len(typing_user.typed)
    typing_user.window.save(FILE, typing_user.typed)
    record = typing_user.window.record()
    statistics = record.ask("starfill/statistics", {})
    assert statistics["offered"] > 10
    assert statistics["accepted"] == 0
    changes = [
        change["text"] for params in record.sent("textDocument/didChange") for change in params["contentChanges"]
    ]
    assert "".join(changes) == typing_user.typed
    assert len(typing_user.window.records()) == 1


def test_the_memory_is_flat_meanwhile(main_window: Window, typing_user: Typist) -> None:
    typing_user.finish()
    third = len(typing_user.memory) // 3
    for name, of, allowed in (("server", 0, 16 * MIB), ("extensions", 1, 32 * MIB)):
        used = [sample[of] for sample in typing_user.memory]
        grown = median(used[-third:]) - median(used[third : 2 * third])
        assert grown < allowed, f"{name}: {[each // MIB for each in used]} MiB"
