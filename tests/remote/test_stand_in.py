"""The tokenizer of a model whose own isn't here."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote.opened import BUNDLED
from starfill.assist.prompts.detect import controls_of, detect
from starfill.assist.prompts.families import FAMILIES
from starfill.assist.prompts.family import Identity
from starfill.checkpoint.stand_in import stand_in
from starfill.checkpoint.tokenizer import CheckpointTokenizer

OWN = CheckpointTokenizer.from_folder(BUNDLED, 0)
MADE = stand_in(BUNDLED, controls_of(FAMILIES["codellama-70b"]))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_control_token_of_a_family_is_one_token_and_no_text(name):
    controls = controls_of(FAMILIES[name])
    tokenizer = stand_in(BUNDLED, controls)
    assert set(controls) <= set(tokenizer.special)
    ids = [tokenizer.special[control] for control in controls]
    assert len(set(ids)) == len(ids)
    assert not [id for id in ids if tokenizer.token_bytes[id]]
    for control in controls:
        assert not set(tokenizer.encode(f"a{control}b {control}")) & set(tokenizer.special.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_can_be_spoken_with_it(name):
    tokenizer = stand_in(BUNDLED, controls_of(FAMILIES[name]))
    dialect = detect(Identity("", tokenizer.special, None, "a-model-instruct"), name)
    assert dialect.family is FAMILIES[name]
    assert dialect.stop_ids >= {tokenizer.special[control] for control in controls_of(FAMILIES[name])}


@settings(deadline=None)
@given(st.text())
def test_texts_are_cut_as_the_bundled_model_cuts_them(text):
    ids = MADE.encode(text)
    assert ids == OWN.encode(text)
    assert b"".join(MADE.token_bytes[id] for id in ids) == text.encode()


def test_known_controls_stay_what_they_are():
    tokenizer = stand_in(BUNDLED, ("<fim_prefix>", "<new>", "<new>", "<fim_middle>"))
    assert {text: id for text, id in tokenizer.special.items() if text != "<new>"} == OWN.special
    assert tokenizer.special["<new>"] == max(len(OWN.token_bytes), *OWN.special.values())
