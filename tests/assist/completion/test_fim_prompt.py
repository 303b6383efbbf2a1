"""Prompts: what is in them, and that they fit."""

from __future__ import annotations

from random import Random

import pytest

from assist.completion.typist import CODE, HALF, HEAD, TAIL, opened, parts, setup
from assist.toy import doc
from starfill.assist.completion.context_window import model_text
from starfill.assist.completion.fim_prompt import plan
from starfill.config.choices import Layout


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
