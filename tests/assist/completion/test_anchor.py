"""What a keystroke costs: when the anchor and the windows of a prompt stay, and when they move."""

from __future__ import annotations

import pytest

from assist.completion.typist import CODE, HALF, PREFIX, TAIL, TOKENIZER, Typist, opened, parts, setup, typist
from assist.toy import ToyTokenizer, dialect, doc
from starfill.assist.completion import fim_prompt
from starfill.assist.completion.fim_prompt import Setup, plan
from starfill.assist.completion.token_healing import MAX_DROPPED
from starfill.config.choices import Layout

TYPED = (
    "    result = self.name(value, not None)  # returning é and 漢字, printed\n    if result:\n        print(result)\n"
)


@pytest.mark.parametrize(("layout", "most"), [(Layout.ANCHORED_PSM, 4), (Layout.SPM, 4), (Layout.PREFIX, 4)])
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_a_typed_character_recomputes_at_most_four_tokens(layout: Layout, most: int, eol: str) -> None:
    session = Typist(setup(layout), opened(CODE * 3, eol), 0)
    session.offset = session.document.line_start(200)
    session.look()
    session.costs.clear()
    session.anchors = 0
    session.type(TYPED)
    assert max(session.costs) <= most and session.anchors == 0


def test_in_plain_psm_a_typed_character_recomputes_the_suffix() -> None:
    session = typist(HALF, Layout.PSM)
    session.type("value")
    assert all(cost <= len(TOKENIZER.encode(TAIL)) + 4 for cost in session.costs)


def test_backspace_enter_brackets_and_accepting_keep_the_anchor() -> None:
    session = typist("def f():\n    ‸\n    return 1\n")
    session.type("x = print")
    session.backspace()
    session.type("t(", inserts=")")
    session.type("{", inserts="}")
    session.type("1")
    session.offset += 1  # steps over the brace
    session.look()
    session.type(", ")
    session.document = session.document.replaced(session.offset, session.offset, "value, result")  # accepted
    session.offset += len("value, result")
    session.look()
    assert session.anchors == 0


def test_enter_between_brackets_keeps_the_anchor() -> None:
    session = typist("function f() ‸\nprint()\n")
    session.type("{", inserts="}")
    session.document = session.document.replaced(session.offset, session.offset, "\n    \n")
    session.offset += len("\n    ")
    assert session.look().closers == ""
    session.type("return 1;")
    assert session.anchors == 0 and max(session.costs) <= 4


def test_overtyping_a_closer_keeps_the_anchor() -> None:
    session = typist("x = f‸\ny = 2\n")
    session.type("(", inserts=")")
    session.offset += 1  # the editor steps over it
    assert session.look().typed == "x = f()"
    assert session.anchors == 0


@pytest.mark.parametrize("move", [-300, -1, 40])
def test_a_jump_sets_a_new_anchor(move: int) -> None:
    session = typist(CODE[:2000] + "\n‸" + CODE[2000:])
    session.type("value = 1\n")
    session.offset += move
    session.look()
    assert session.anchors == 1


@pytest.mark.parametrize("at", [-30, 30])
def test_an_edit_in_the_window_sets_a_new_anchor(at: int) -> None:
    session = typist(CODE[:2000] + "\n‸" + CODE[2000:])
    session.type("value = 1")
    session.document = session.document.replaced(session.offset + at, session.offset + at + 1, "?")
    session.look()
    assert session.anchors == 1


def test_appending_after_a_suffix_that_reached_the_end_sets_a_new_anchor() -> None:
    session = typist("a = ‸\nb = 1\n")
    session.document = session.document.replaced(len(session.document), len(session.document), "c = 2\n")
    session.look()
    assert session.anchors == 1


@pytest.mark.parametrize("inserted", ["import re\n", "# a note\n" * 40])
def test_an_edit_far_above_keeps_the_anchor(inserted: str) -> None:
    session = typist(CODE + "\n\ndef f():\n    ‸\n\n" + CODE)
    session.type("value")
    session.document = session.document.replaced(0, 0, inserted)
    session.offset += len(inserted)
    session.look()
    session.document = session.document.replaced(0, 3, "")
    session.offset -= 3
    session.type(" = 1")
    assert session.anchors == 0 and max(session.costs) <= 4


def test_an_edit_far_below_keeps_the_anchor() -> None:
    session = typist("‸\n" + CODE)
    session.document = session.document.replaced(len(session.document), len(session.document), "import re\n")
    session.type("value")
    assert session.anchors == 0


def test_a_new_line_of_imports_is_seen_when_the_window_reaches_the_start() -> None:
    session = typist("x = 1\n‸")
    session.document = session.document.replaced(0, 0, "import re\n")
    session.offset += len("import re\n")
    assert parts(session.look())[0] == "import re\nx = 1\n"


def test_in_spm_new_anchors_cost_nothing_while_the_windows_stand() -> None:
    session = typist("def f():\n    ‸\n\n\n" + CODE, Layout.SPM)
    session.type("value = 1\n    " * 80)
    assert session.anchors > 1
    assert sum(cost > 4 for cost in session.costs) == 1  # the suffix had more than its share at first


def test_spm_fits_when_the_joined_text_takes_more_tokens_than_its_parts() -> None:
    class Joined(ToyTokenizer):
        def encode(self, text: str, *, start: bool = False) -> list[int]:
            return super().encode(text) + [300] * 900 * ("begin" in text and "end" in text)

    document, offset = doc("begin\nend‸\n")
    limits = Setup(Joined(), dialect(TOKENIZER.special), Layout.SPM, 512, 64)
    prompt, _ = plan(document, offset, None, limits)
    assert 512 - 64 - MAX_DROPPED <= len(prompt.ids) <= 512 - 64 and prompt.ids[0] == PREFIX


def test_jumping_back_to_the_window_start_does_not_leave_too_little_context() -> None:
    limits, document = setup(), opened(CODE * 3)
    _, anchor = plan(document, 30_000, None, limits)
    start = anchor.offset - len(anchor.prefix.text)
    _, again = plan(document, start + 200, anchor, limits)
    assert len(again.prefix.ids) > limits.window // 4


def test_a_very_long_line_next_to_the_cursor_is_cut_within() -> None:
    long = "value, " * 5000
    _, anchor = plan(*doc(f"{long}\nx\n‸\ny\n{long}\n"), None, setup())
    assert len(anchor.prefix.ids) > 100 and len(anchor.suffix.ids) > 100


@pytest.mark.parametrize("layout", [Layout.ANCHORED_PSM, Layout.SPM])
def test_the_anchor_moves_when_much_has_been_typed(layout: Layout) -> None:
    session = typist("def f():\n    ‸\n\n\n" + CODE[:3000], layout)
    for _ in range(60):
        session.type("x = [1, 2]\n    ")
    assert 1 <= session.anchors <= 60 * 15 * 2 / session.setup.typed + 1


def test_the_window_start_moves_rarely_when_walking_down_a_long_file() -> None:
    limits = setup(Layout.ANCHORED_PSM)
    document = opened(CODE * 4)
    anchor, starts, lines = None, set(), range(0, document.line_count, 1)
    for line in lines:
        _, anchor = plan(document, document.line_start(line), anchor, limits)
        start = anchor.offset - len(anchor.prefix.text)
        assert start == document.line_start(document.line_of(start))
        starts.add(start)
    tokens = len(TOKENIZER.encode(CODE * 4))
    assert len(starts) <= tokens / (0.3 * limits.window) + 2


def test_walking_down_recomputes_no_prefix() -> None:
    session = typist("‸" + CODE[:3000])
    for line in range(1, 10):
        session.offset = session.document.line_start(line)
        session.look()
        assert session.ids[1 : 1 + len(session.anchor.prefix.ids)] == session.anchor.prefix.ids
        assert session.costs[-1] <= len(session.anchor.suffix.ids) + 120


def test_a_line_too_long_to_type_in_is_cut_at_the_cursor() -> None:
    document = opened("x = [" + "1, " * 400_000 + "]\n")
    limits = setup()
    prompt, anchor = plan(document, 600_000, None, limits)
    assert anchor.offset == 600_000 and len(prompt.ids) > 0.5 * limits.window
    again = document.replaced(600_000, 600_000, "2")
    after, kept = plan(again, 600_001, anchor, limits)
    assert kept.prefix is anchor.prefix and after.typed == "2"


def test_a_ten_megabyte_file_is_never_encoded_whole() -> None:
    class Counting(ToyTokenizer):
        longest = 0

        def encode(self, text: str, *, start: bool = False) -> list[int]:
            self.longest = max(self.longest, len(text))
            return super().encode(text)

    counting = Counting()
    document = opened("value = [1, 2, 3]\n" * 600_000)
    limits = Setup(counting, dialect(counting.special), Layout.ANCHORED_PSM, 2048, 64)
    plan(document, len(document) // 2 // 18 * 18, None, limits)
    assert counting.longest <= 2048 * 6


def test_changed_limits_set_a_new_anchor() -> None:
    document, offset = doc(HALF)
    _, anchor = plan(document, offset, None, setup())
    _, other = plan(document, offset, anchor, setup(context=512))
    assert other.setup.context == 512


def test_the_typed_reserve_leaves_room_in_small_contexts() -> None:
    assert setup(context=64, answer=32).window > 0
    assert setup(context=4096).typed == fim_prompt.MAX_TYPED
