"""A typist, who gets a prompt with each key."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass, field

from assist.toy import ToyTokenizer, common_prefix, dialect, doc
from starfill.assist.completion.fim_prompt import Anchor, Prompt, Setup, plan
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
