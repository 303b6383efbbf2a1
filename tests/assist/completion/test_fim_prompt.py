"""Prompts: what is in them, that they fit, and what a keystroke costs."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass, field
from random import Random

import pytest

from assist.toy import ToyTokenizer, common_prefix, dialect, doc
from starfill.assist.completion import fim_prompt
from starfill.assist.completion.context_window import model_text
from starfill.assist.completion.fim_prompt import Anchor, Prompt, Setup, plan
from starfill.assist.completion.token_healing import MAX_DROPPED
from starfill.config.choices import Layout
from starfill.text.document import Document

TOKENIZER = ToyTokenizer()
PREFIX, SUFFIX, MIDDLE = (TOKENIZER.special[f"<fim_{name}>"] for name in ("prefix", "suffix", "middle"))
CODE = inspect.getsource(textwrap)


def setup(layout: Layout = Layout.ANCHORED_PSM, context: int = 1024, answer: int = 64) -> Setup:
    return Setup(TOKENIZER, dialect(TOKENIZER.special), layout, context, answer)


def opened(text: str, eol: str = "\n") -> Document:
    return Document.open("file:///a.py", "python", 1, text.replace("\n", eol))


@dataclass
class Typist:
    """An editor session that plans a prompt after every step, and counts what each one recomputes."""

    setup: Setup
    document: Document
    offset: int
    anchor: Anchor | None = None
    ids: tuple[int, ...] = ()
    costs: list[int] = field(default_factory=list)
    anchors: int = 0

    def look(self) -> Prompt:
        prompt, anchor = plan(self.document, self.offset, self.anchor, self.setup)
        self.costs.append(len(prompt.ids) - common_prefix(prompt.ids, self.ids))
        same = self.anchor is not None and (anchor.prefix, anchor.suffix) == (self.anchor.prefix, self.anchor.suffix)
        self.anchors += not same
        self.anchor, self.ids = anchor, prompt.ids
        return prompt

    def type(self, text: str, inserts: str = "") -> None:
        """Each character on its own; with the last one an editor `inserts` a closer behind the cursor."""
        for number, char in enumerate(text, 1):
            after = inserts if number == len(text) else ""
            self.document = self.document.replaced(self.offset, self.offset, char + after)
            self.offset += 1
            self.look()

    def backspace(self) -> None:
        self.document = self.document.replaced(self.offset - 1, self.offset, "")
        self.offset -= 1
        self.look()


def typist(marked: str, layout: Layout = Layout.ANCHORED_PSM, context: int = 1024) -> Typist:
    document, offset = doc(marked)
    session = Typist(setup(layout, context), document, offset)
    session.look()
    session.costs.clear()
    session.anchors = 0
    return session


def parts(prompt: Prompt) -> tuple[str, str, str]:
    """The prefix, suffix and what follows the middle sentinel, as text."""
    ids = list(prompt.ids)
    if MIDDLE not in ids:
        return "", "", TOKENIZER.decode(ids)
    suffix, middle = ids.index(SUFFIX), ids.index(MIDDLE)
    assert ids[0] == PREFIX and sum(id in TOKENIZER.special.values() for id in ids) == 3
    decode = TOKENIZER.decode
    return decode(ids[1:suffix]), decode(ids[suffix + 1 : middle]), decode(ids[middle + 1 :])


HALF = "import os\n\n\ndef f(value):\n    return ‸\n\n\nprint(f(1))\n"
HEAD, TAIL = "import os\n\n\ndef f(value):\n", "\n\n\nprint(f(1))\n"


def test_psm() -> None:
    prompt, _ = plan(*doc(HALF), None, setup(Layout.PSM))
    assert parts(prompt) == (HEAD + "    return ", TAIL, "")
    assert prompt.dropped == b""


def test_anchored_psm() -> None:
    prompt, _ = plan(*doc(HALF), None, setup(Layout.ANCHORED_PSM))
    assert parts(prompt) == (HEAD, TAIL, "    return")
    assert prompt.dropped == b" " and prompt.typed == "    return "


def test_spm() -> None:
    prompt, _ = plan(*doc(HALF), None, setup(Layout.SPM))
    assert parts(prompt) == ("", TAIL, HEAD + "    return")
    assert prompt.dropped == b" "


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("text", ["‸", "  ‸", "\n‸\n", " ‸\n\n"])
def test_empty_and_blank_documents(layout: Layout, text: str) -> None:
    prompt, _ = plan(*doc(text), None, setup(layout))
    prefix, suffix, typed = parts(prompt)
    shown = text.split("‸")[0] if layout is Layout.PREFIX else text
    assert f"{prefix}{typed}{prompt.dropped.decode()}‸{suffix}".startswith(shown)
    assert suffix or layout is Layout.PREFIX or text.endswith("‸")


def test_closers_belong_neither_to_prefix_nor_suffix() -> None:
    prompt, _ = plan(*doc("f(g(‸)), 1\n"), None, setup())
    assert prompt.closers == "))"
    assert parts(prompt)[1] == ", 1\n"


def test_the_model_sees_line_feeds() -> None:
    document = opened(HALF.replace("‸", ""), "\r\n")
    prompt, anchor = plan(document, document.text.index("    return ") + 11, None, setup(Layout.PSM))
    assert parts(prompt) == (HEAD + "    return ", TAIL, "")
    assert "\r\n" in anchor.prefix.text


def test_text_never_becomes_a_special_token() -> None:
    text = "x = '<fim_middle>'\ny = '<|endoftext|>"
    prompt, _ = plan(*doc(text + "‸'\n<fim_prefix>\n"), None, setup())
    prefix, suffix, typed = parts(prompt)
    assert prefix + typed + prompt.dropped.decode() == text and suffix == "\n<fim_prefix>\n"


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_prompts_fit_and_hold_the_text_around_the_cursor(layout: Layout, eol: str) -> None:
    random = Random(7)
    texts = [CODE, CODE * 8, "x = " + "1234567890 " * 4000, "é漢😀" * 3000, "\n" * 5000, (" " * 300 + "\n") * 60, ""]
    for number in range(250):
        document = opened(texts[number % len(texts)], eol)
        offset = random.randint(0, len(document))
        limits = setup(layout, random.choice((64, 200, 1024)), random.choice((8, 32)))
        previous = plan(document, random.randint(0, len(document)), None, limits)[1] if number % 2 else None
        prompt, anchor = plan(document, offset, previous, limits)
        assert len(prompt.ids) <= limits.context - limits.answer
        assert document.slice(anchor.offset - len(anchor.prefix.text), anchor.offset) == anchor.prefix.text
        assert document.slice(anchor.offset, offset) == prompt.typed
        after = offset + len(prompt.closers)
        assert document.slice(offset, after) == prompt.closers
        assert document.slice(after, after + len(anchor.suffix.text)) == anchor.suffix.text
        prefix, suffix, rest = parts(prompt)
        assert suffix == model_text(anchor.suffix.text)
        everything = model_text(anchor.prefix.text + prompt.typed)
        assert (prefix + rest).encode() + prompt.dropped == everything.encode() or limits.joins
        shown = (prefix + rest).encode("utf-8", "replace")[8:] + prompt.dropped
        assert everything.encode().endswith(shown) or not limits.joins


def test_each_part_takes_what_the_other_does_not_need() -> None:
    limits = setup(context=1024)
    for offset in (0, len(CODE)):
        prompt, _ = plan(opened(CODE), offset, None, limits)
        assert len(prompt.ids) > 0.4 * limits.window


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
