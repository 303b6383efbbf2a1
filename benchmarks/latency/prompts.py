"""Starfill's own prompts for a trace, so that other systems can be asked the very same."""

from __future__ import annotations

from pathlib import Path

from peers.peer import Prompt
from starfill.assist.completion.fim_prompt import Anchor, Setup, plan
from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.family import Identity
from starfill.checkpoint.config import read_config
from starfill.checkpoint.special import read_special
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.text.document import Document


class Prompter:
    """Plans prompts as the server does. context: tokens of prompt and answer. answer: tokens of it kept free."""

    def __init__(self, folder: Path, context: int, answer: int) -> None:
        config = read_config(folder)
        architecture = OpenedCheckpoint.of(config).architecture
        tokenizer = CheckpointTokenizer.from_folder(folder, architecture.vocab_size)
        special = read_special(config.folder, tokenizer)
        identity = Identity(
            config.model_type, tokenizer.special, special.chat_template, folder.name, special.family, special.bos
        )
        dialect = detect(identity, "auto")
        context = min(context, architecture.context_length)
        self.setup = Setup(tokenizer, dialect, dialect.layout("auto")[0], context, answer)

    def plan(self, document: Document, offset: int, previous: Anchor | None) -> tuple[Prompt, Anchor]:
        planned, anchor = plan(document, offset, previous, self.setup)
        return Prompt(planned.ids, anchor.prefix.text, anchor.suffix.text, planned.typed), anchor

    def count(self, text: str) -> int:
        return len(self.setup.tokenizer.encode(text))
