"""Prompts as text: only our own control tokens are any to the engine, and nothing else of the text is changed."""

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer

from remote.opened import BUNDLED
from starfill.assist.prompts.detect import controls_of
from starfill.assist.prompts.families import FAMILIES
from starfill.checkpoint.stand_in import stand_in
from starfill.remote.encoding import PromptEncoder
from tiny_tokenizers import sentencepiece

EVERY = tuple(dict.fromkeys(control for family in FAMILIES.values() for control in controls_of(family)))
OTHERS = ("<|im_start|>", "<|file_sep|>", "<|user|>", "<｜User｜>", "<|repo_name|>")  # no prompt of ours has them
USER = "".join(
    f"a {each}b{each}{each}\n# {each[:-1]}\n{each[1:]} <{each}> {each.lstrip('▁')}" for each in EVERY + OTHERS
)


@cache
def tokenizer(name):
    return stand_in(BUNDLED, controls_of(FAMILIES[name]))


@cache
def engines(name):
    """Tokenizers as an engine has them: what is written as a control token is one."""
    own = [*tokenizer(name).special, *(each for each in OTHERS if each not in tokenizer(name).special)]
    raw = json.loads((BUNDLED / "tokenizer.json").read_text(encoding="utf-8"))
    first = max(raw["model"]["vocab"].values()) + 1000
    added = [{"id": first + at, "content": text, "special": True, "normalized": False} for at, text in enumerate(own)]
    fields = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    raw["added_tokens"] = [{**fields, **each} for each in added]
    byte_level = HfTokenizer.from_str(json.dumps(raw))
    return byte_level, HfTokenizer.from_str(sentencepiece(tuple(own)))


def controls_in(text, engine):
    """The control tokens that an engine finds in a text."""
    ids = engine.encode(text, add_special_tokens=False).ids
    special = {id for id, token in engine.get_added_tokens_decoder().items() if token.special}
    return [engine.id_to_token(id) for id in ids if id in special and engine.id_to_token(id) != "<unk>"]


def only_spaces_were_added(sent, text):
    at = 0
    for char in sent:
        if at < len(text) and char == text[at]:
            at += 1
        elif char != " ":
            return False
    return at == len(text)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_user_has_written_is_no_control_token(name):
    own, controls = tokenizer(name), controls_of(FAMILIES[name])
    encoder = PromptEncoder(own, False, None)
    ids = own.encode(USER)
    for control in controls:
        ids += [own.special[control], *own.encode(USER)]
    sent = encoder.prompt(ids).prompt
    for engine in engines(name):
        assert controls_in(USER.replace("▁", ""), engine) or not controls  # it would have found them
        assert controls_in(sent, engine) == list(controls)
    assert only_spaces_were_added(sent, USER + "".join(control + USER for control in controls))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_control_token_that_is_cut_anywhere(name):
    """A half word is asked for with the rest of it in the prompt, where the two may come together."""
    own = tokenizer(name)
    encoder = PromptEncoder(own, False, None)
    for control in (*controls_of(FAMILIES[name]), *own.special):
        text = f"x = '{control.lstrip('▁')}"
        ids = own.encode(text)
        whole = encoder.prompt(ids).prompt
        for cut in range(1, len(ids)):
            kept = encoder.prompt(ids[:cut])
            longer = encoder.longer(kept, kept.rest + encoder.bytes(ids[cut:]))
            assert longer.prompt == whole
            assert [each for each in engines(name) if controls_in(longer.prompt, each)] == []


def test_a_cut_after_our_own_control_token_leaves_it_whole():
    own = tokenizer("starcoder")
    encoder = PromptEncoder(own, False, None)
    ids = [*own.encode("a <fim_suffix"), own.special["<fim_middle>"], *own.encode("<fim_mid")]
    longer = encoder.longer(encoder.prompt(ids), b"dle> b")
    assert longer.prompt == "a <fim_suffix<fim_middle>< fim_middle> b"


def test_a_deepseek_token_has_a_bar_in_the_middle():
    own = tokenizer("deepseek-coder")
    sent = PromptEncoder(own, False, None).prompt(own.encode("<｜fim▁begin｜><｜fim▁hole｜>")).prompt
    assert sent == "< ｜fim▁begin｜>< ｜fim▁hole｜>"


@pytest.mark.parametrize(
    "text", ["a <| b |> c", "f <|x <|y|", "vector<int>", "<a href='b'>", "x << 1 | y >> 2", "<||>"]
)
def test_code_is_left_alone(text):
    own = tokenizer("plain")
    assert PromptEncoder(own, False, None).prompt(own.encode(text)).prompt == text


PARTS = st.one_of(st.text(max_size=8), st.sampled_from([*EVERY, *OTHERS, "<", ">", "▁", "_", "|", "｜", "< "]))


@settings(deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.lists(PARTS, max_size=8), st.data())
def test_any_text(name, parts, data):
    own, text = tokenizer(name), "".join(parts)
    encoder = PromptEncoder(own, False, None)
    ids = own.encode(text)
    if not ids:
        return
    encoded = encoder.prompt(ids)
    assert encoded.rest == b""
    assert only_spaces_were_added(encoded.prompt, text)
    assert controls_in(encoded.prompt, engines(name)[0]) == []
    cut = data.draw(st.integers(1, len(ids)))
    kept = encoder.prompt(ids[:cut])
    assert encoder.longer(kept, kept.rest + encoder.bytes(ids[cut:])).prompt == encoded.prompt


@pytest.mark.parametrize("takes_ids", [True, False])
@pytest.mark.parametrize("text", ["x = '🎉", "# 漢字", "naïve", "'👩‍👩‍👧‍👦"])
def test_a_prompt_that_ends_inside_a_character(text, takes_ids):
    own = tokenizer("starfill")
    encoder = PromptEncoder(own, takes_ids, None)
    ids = own.encode(text)
    halves = 0
    for cut in range(1, len(ids) + 1):
        encoded = encoder.prompt(ids[:cut])
        sent = encoder.bytes(encoded.prompt) if takes_ids else encoded.prompt.encode()
        assert sent + encoded.rest == encoder.bytes(ids[:cut])
        sent.decode()
        halves += bool(encoded.rest)
        begins = encoded.rest + encoder.bytes(ids[cut:])
        longer = encoder.longer(encoded, begins).prompt
        assert (encoder.bytes(longer).decode() if takes_ids else longer) == text
    assert halves


def test_halves_of_characters_are_question_marks():
    own = tokenizer("starfill")
    sent = PromptEncoder(own, False, None).prompt(own.encode("a\ud83db\udc00")).prompt
    assert sent == "a?b?"
    json.dumps(sent).encode()


def test_the_token_that_an_engine_puts_first_is_not_sent():
    own = tokenizer("codellama")
    bos = own.special["<s>"]
    encoder = PromptEncoder(own, False, bos)
    assert encoder.prompt([bos, *own.encode("a<s>"), bos]).prompt == "a< s><s>"
    assert encoder.prompt(own.encode("a")).prompt == "a"
    assert PromptEncoder(own, False, None).prompt([bos, *own.encode("a")]).prompt == "<s>a"


def test_ids_are_sent_as_they_are():
    own = tokenizer("starcoder")
    ids = [own.special["<fim_prefix>"], *own.encode("<fim_middle>"), own.special["<fim_middle>"]]
    encoded = PromptEncoder(own, True, ids[0]).prompt(ids)
    assert (encoded.prompt, encoded.rest) == (tuple(ids), b"")
