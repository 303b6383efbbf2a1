"""Which family a checkpoint belongs to, and the family's dialect in the ids of its tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from starfill.assist.prompts.chat_templates import DIALOGUE
from starfill.assist.prompts.families import (
    CODEGEMMA,
    CODELLAMA,
    CODELLAMA_70B,
    CODESTRAL,
    DEEPSEEK,
    FAMILIES,
    GRANITE,
    LLAMA,
    PLAIN,
    QWEN,
    SANTACODER,
    STARCODER,
    STARCODER2,
    STARFILL,
    WIZARDCODER,
    WIZARDCODER_PYTHON,
)
from starfill.assist.prompts.family import Dialect, Family, Identity, Instruct, Sentinels
from starfill.assist.prompts.template import cut
from starfill.errors import CheckpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What tells a family; every given field must match. chat: stands in the chat template. name: stands in the
    name.
    """

    family: Family
    tokens: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    chat: str = ""
    name: str = ""

    def fits(self, identity: Identity) -> bool:
        return (
            all(token in identity.special for token in self.tokens)
            and (not self.architectures or identity.architecture in self.architectures)
            and self.chat in (identity.chat_template or "")
            and self.name in identity.name.lower()
        )


# The first match decides. One sentinel is enough: a checkpoint that lacks the others is broken, and is refused.
SIGNS = (
    Sign(family=CODELLAMA_70B, tokens=("<step>",)),
    Sign(family=CODELLAMA, tokens=("▁<PRE>",)),
    Sign(family=DEEPSEEK, tokens=("<｜fim▁begin｜>",)),
    Sign(family=CODESTRAL, tokens=("[SUFFIX]",)),
    Sign(family=CODEGEMMA, tokens=("<|fim_prefix|>", "<start_of_turn>")),
    Sign(family=QWEN, tokens=("<|fim_prefix|>",)),
    Sign(family=SANTACODER, tokens=("<fim-prefix>",)),
    Sign(family=STARCODER2, tokens=("<fim_prefix>", "<file_sep>")),
    Sign(family=WIZARDCODER, tokens=("<fim_prefix>", "[PAD]"), architectures=("gpt_bigcode",)),
    Sign(family=WIZARDCODER, tokens=("<fim_prefix>",), chat="### Instruction:"),
    Sign(family=WIZARDCODER, tokens=("<fim_prefix>",), name="wizardcoder"),
    Sign(family=GRANITE, tokens=("<fim_prefix>",), architectures=("llama", "granite", "granitemoe")),
    Sign(family=GRANITE, tokens=("<fim_prefix>",), chat="Question:"),
    Sign(family=GRANITE, tokens=("<fim_prefix>",), name="granite"),
    Sign(family=STARCODER, tokens=("<fim_prefix>",)),
    Sign(family=WIZARDCODER_PYTHON, tokens=("<s>", "[PAD]"), architectures=("llama",)),
    Sign(family=WIZARDCODER_PYTHON, tokens=("<s>",), chat="### Instruction:"),
    Sign(family=WIZARDCODER_PYTHON, tokens=("<s>",), name="wizardcoder"),
    Sign(family=LLAMA, tokens=("<s>", "</s>"), architectures=("llama",)),
    Sign(family=PLAIN),
)

# By the name that a model is published under. The first name that is contained in it decides.
NAMES = (
    ("starfill", STARFILL),
    ("starcoder2", STARCODER2),
    ("wizardcoder-python", WIZARDCODER_PYTHON),
    ("wizardcoder-33b", WIZARDCODER_PYTHON),  # based on DeepSeek's model, with this form of instructions
    ("wizardcoder", WIZARDCODER),
    ("santacoder", SANTACODER),
    ("starcoder", STARCODER),
    ("codellama-70b-instruct", CODELLAMA_70B),
    ("codellama-70b", LLAMA),
    ("codellama-34b", LLAMA),
    ("codellama-7b-python", LLAMA),  # can't fill in the middle
    ("codellama-13b-python", LLAMA),
    ("codellama", CODELLAMA),
    ("deepseek-coder", DEEPSEEK),
    ("codegemma", CODEGEMMA),
    ("codestral", CODESTRAL),
    ("granite", GRANITE),
    ("qwen2.5-coder", QWEN),
    ("qwen3-coder", QWEN),
    ("llama-2", LLAMA),
)

_TUNED = re.compile(r"instruct|chat|\bit\b", re.IGNORECASE)
_LIKE_A_TAG = re.compile(r"</?[a-z]+\d?>")  # but not </s>, which may be meant: HTML has it


def detect(identity: Identity, chosen: str = "auto") -> Dialect:
    """The dialect of a checkpoint. chosen: a family's name, which overrules what the checkpoint looks like.

    Raises CheckpointError if the tokenizer lacks a control token of the family, or splits it.
    """
    family = _family(identity, chosen)
    if family is PLAIN and identity.bos:  # the other families' is known
        family = replace(family, bos=identity.bos)
    instruct = _instruct(family, identity)
    missing = [token for token in _needed(family, instruct) if token not in identity.special]
    if missing:
        raise CheckpointError(
            f"The tokenizer of {identity.name} has no special token {' or '.join(missing)}, which models of the family "
            f'{family.name} need; use the checkpoint\'s own tokenizer.json, or set "family" to what the model is.'
        )
    return _spelled(family, instruct, identity)


def family_named(names: Iterable[str]) -> Family | None:
    """The family of a model of which only names are known; None if they don't tell."""
    for name in names:
        for part, family in NAMES:
            if part in name.lower().replace("_", "-"):
                return family
    return None


def controls_of(family: Family) -> tuple[str, ...]:
    """All control tokens that the family's prompts, forms of instructions and answers may contain."""
    forms = (token.strip() for form in family.instruct for token in form.controls)
    tokens = (family.bos, family.header_control, *family.sentinels, *family.controls, *forms, *family.ends)
    return tuple(dict.fromkeys(token for token in tokens if token))


def _family(identity: Identity, chosen: str) -> Family:
    if chosen != "auto":
        return FAMILIES[chosen]
    if identity.declared is not None:
        if identity.declared not in FAMILIES:
            raise CheckpointError(
                f'"starfill_family" in config.json of {identity.name} is "{identity.declared}", but Starfill knows '
                f"only {', '.join(FAMILIES)}; correct it, or remove it to have the family detected."
            )
        return FAMILIES[identity.declared]
    return next(sign.family for sign in SIGNS if sign.fits(identity))


def _instruct(family: Family, identity: Identity) -> Instruct:
    """The form of instructions that the chat template means. Without a template, the name tells whether the model was
    tuned for any.
    """
    chat = identity.chat_template
    for form in family.instruct:
        if not form.mark or (chat and form.mark in chat):
            return form
    if not chat and family.instruct and _TUNED.search(identity.name):
        return family.instruct[0]
    return DIALOGUE


def _needed(family: Family, instruct: Instruct) -> Iterable[str]:
    tokens = (family.bos, *family.sentinels, *family.controls, *(token.strip() for token in instruct.controls))
    return dict.fromkeys(token for token in tokens if token)


def _spelled(family: Family, instruct: Instruct, identity: Identity) -> Dialect:
    special = identity.special
    sentinels = {token: special[token] for token in family.sentinels}
    controls: Mapping[str, int] = sentinels | {token: special[token] for token in family.controls}
    marker = {family.header_control: special.get(family.header_control, 0)} if family.header_control else {}
    hidden = (*family.sentinels, *(token for token in family.ends if not _LIKE_A_TAG.fullmatch(token)))
    return Dialect(
        family=family,
        fim=Sentinels(sentinels) if sentinels else None,
        bos=special[family.bos] if family.bos else None,
        orders={layout: cut(text, controls) for layout, text in family.orders.items()},
        header=cut(family.header, marker) if marker.keys() <= special.keys() else (),
        stop_ids=frozenset(special.values()) | identity.eos,
        leaks=tuple(dict.fromkeys(token.lstrip("▁") for token in hidden)),
        instruct=instruct,
        instruct_pieces=cut(instruct.text, {token: special[token.strip()] for token in instruct.controls}),
    )
