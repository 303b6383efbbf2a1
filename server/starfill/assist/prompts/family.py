"""What a family of models is, and a family as one checkpoint spells it. The families themselves: `families`.

A family is data: the strings it was trained with. `Dialect` is the same in token ids, made once when a model is loaded;
there every control token is found to be exactly one token, or the checkpoint is refused by the token's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starfill.assist.prompts.template import Piece
from starfill.config.choices import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruct:
    """How an instruction is put to a model.

    text: with the fields {instruction} and {system}. system: what stands for the latter.
    controls: the control tokens in it, as it writes them: a space before one is swallowed by the token.
    mark: what a chat template that means this form contains; "": this form needs no chat template.
    strips: white space around the instruction is taken off. stops: texts at which an answer has ended.
    explanation_stops: further ones for what the action "explain" is answered.
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
    psm, spm: the prompt with prefix or suffix first; "" where it wasn't trained so. Fields: {header}; {prefix},
        {suffix} and {typed}, each encoded on its own; {text}, the prefix and what was typed as one.
    spm_first: whether the suffix-first prompt was measured to be the better one.
    alone: the prompt without a suffix. header: what tells the model the file's {path}; "" if nothing does.
    header_control: the control token in it; a checkpoint that lacks it is told no path.
    controls: what else of control tokens stands in the prompts. bos: the token that begins every prompt.
    ends: the tokens that end a text. Each special token does; these have to be known when they are written as text.
    instruct: the forms of instructions it has been tuned for, over time; none for models that were only pretrained.
    healed: the layouts whose prompt ends with the text before the cursor, so that its last word can be healed. In the
        anchored one it has to be. In SPM training cut at characters and tokenised each part on its own, so a half word
        is nothing new, but the bundled model gets five times as many lines right with it (its model card).
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
        """The prompt of each layout that the family can be asked in, the best one first."""
        psm = {Layout.ANCHORED_PSM: self.psm, Layout.PSM: self.psm} if self.psm else {}
        spm = {Layout.SPM: self.spm} if self.spm else {}
        return {**(spm if self.spm_first else {}), **psm, **spm, Layout.PREFIX: self.alone}


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a checkpoint, to tell its family.

    architecture: model_type in config.json. special: the special tokens by their text. chat_template: the Jinja text,
    which is searched, never run. name: the folder or repository.
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
    """A family as one tokenizer spells it.

    fim: None when the model can't fill in the middle: then the prefix alone is completed.
    orders: the pieces of the prompt in each layout that the model knows, the best one first. header: of its header.
    stop_ids: every special token, since none of them is text, and what else the checkpoint says ends one.
    leaks: control tokens that a model sometimes writes letter by letter. Not every one: `<filename>` may be meant.
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
        """The layout that the setting means; where the model doesn't know that one, its best and a sentence on it."""
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
