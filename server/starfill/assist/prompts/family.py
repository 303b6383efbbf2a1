"""What a family of models is, and what its strings become in one checkpoint's tokenizer. The families are in
`families`.

A family is data: the strings that it was trained with. A `Dialect` holds them as token ids and is made once, when a
model is loaded. Every control token must be exactly one token; otherwise the checkpoint is refused, with the token's
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starfill.assist.prompts.template import Piece
from starfill.config.choices import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruct:
    """How an instruction is put to a model.

    text: with the fields {instruction} and {system}. system: the text for the latter.
    controls: the control tokens in `text` as it writes them: a token swallows a space before it.
    mark: a text that a chat template of this form contains; "": this form needs no chat template.
    strips: white space around the instruction is removed. stops: texts that end an answer.
    explanation_stops: further ones that end the answer to the action "explain".
    """

    text: str
    system: str = ""
    controls: tuple[str, ...] = ()
    mark: str = ""
    strips: bool = False
    stops: tuple[str, ...] = ()
    explanation_stops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The strings that one family of models was trained with.

    sentinels: the control tokens of its fill-in-the-middle prompts; () when it can't fill in the middle.
    psm, spm: the prompt with prefix or suffix first; "" if it wasn't trained so. Fields: {header}; {prefix}, {suffix}
        and {typed}, each encoded on its own; {text}: prefix and typed text as one.
    spm_first: whether the suffix-first prompt was measured to be the better one.
    alone: the prompt without a suffix. header: tells the model the file's {path}; "" if nothing does.
    header_control: the control token in `header`; if a checkpoint lacks it, the model isn't told the path.
    controls: the other control tokens of the prompts. bos: the token that begins every prompt.
    ends: tokens that end a text and have to be known when they are written as text. Every special token ends a text.
    instruct: the forms of instructions it has been tuned for, over time; none for models that were only pretrained.
    healed: the layouts whose prompt ends with the text before the cursor, so that its last word can be healed. In
        anchored PSM it must be. In SPM training cut at characters and tokenised each part on its own, so half a word is
        nothing new; but the bundled model gets five times as many lines right with healing (its model card).
    """

    name: str
    sentinels: tuple[str, ...] = ()
    psm: str = ""
    spm: str = ""
    spm_first: bool = False
    alone: str = "{text}"
    header: str = ""
    header_control: str = ""
    controls: tuple[str, ...] = ()
    bos: str = ""
    ends: tuple[str, ...] = ()
    instruct: tuple[Instruct, ...] = ()
    healed: frozenset[Layout] = frozenset({Layout.ANCHORED_PSM, Layout.SPM, Layout.PREFIX})

    @property
    def orders(self) -> dict[Layout, str]:
        """The prompts that the family can be asked in, by layout, the best one first."""
        psm = {Layout.ANCHORED_PSM: self.psm, Layout.PSM: self.psm} if self.psm else {}
        spm = {Layout.SPM: self.spm} if self.spm else {}
        return {**(spm if self.spm_first else {}), **psm, **spm, Layout.PREFIX: self.alone}


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a checkpoint, to find its family.

    architecture: model_type in config.json. special: the special tokens by their text. chat_template: Jinja text, which
        is searched and never run. name: of the folder or repository.
    declared: `starfill_family` in config.json. bos: the token that the tokenizer by itself puts first, if any.
    eos: further ids that end a text, as the checkpoint's files say.
    """

    architecture: str
    special: Mapping[str, int]
    chat_template: str | None
    name: str
    declared: str | None = None
    bos: str | None = None
    eos: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Sentinels:
    """The tokens that mark the parts of a fill-in-the-middle prompt, by their text."""

    ids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Dialect:
    """A family in the token ids of one tokenizer.

    fim: None if the model can't fill in the middle; then the prefix alone is completed.
    orders: the pieces of the prompt in each layout that the model knows, the best one first. header: the header's
        pieces.
    stop_ids: every special token, since none of them is text, and further ids that the checkpoint says end a text.
    leaks: control tokens that a model sometimes writes letter by letter. Not all of them: `<filename>` may be meant.
    instruct: the form of an instruction, and its pieces.
    """

    family: Family
    fim: Sentinels | None
    bos: int | None
    orders: Mapping[Layout, tuple[Piece, ...]]
    header: tuple[Piece, ...]
    stop_ids: frozenset[int]
    leaks: tuple[str, ...]
    instruct: Instruct
    instruct_pieces: tuple[Piece, ...]

    def layout(self, chosen: str) -> tuple[Layout, str | None]:
        """The layout that the setting means. If the model doesn't know it: its best one, and a sentence about that."""
        best, *_ = self.orders
        if chosen == "auto":
            return best, None
        if (layout := Layout(chosen)) in self.orders:
            return layout, None
        known = ", ".join(f'"{layout.value}"' for layout in self.orders)
        return best, (
            f'The setting "starfill.layout" is "{chosen}", but models of the family {self.family.name} know only '
            f'{known}; "{best.value}" is used.'
        )
