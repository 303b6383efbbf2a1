"""What is known of each family's checkpoints: special tokens, parts of chat templates, names; and a tiny tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.family import Dialect, Identity
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from tiny_tokenizers import byte_level, load, sentencepiece

STARCODER = (
    *("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<gh_stars>"),
    *("<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>", "<jupyter_code>"),
    *("<jupyter_output>", "<empty_output>", "<commit_before>", "<commit_msg>", "<commit_after>", "<reponame>"),
)
STARCODER2 = (
    *("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<repo_name>", "<file_sep>"),
    *("<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>", "<pr>", "<pr_status>"),
)
SANTACODER = ("<|endoftext|>", "<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>")
LLAMA = ("<s>", "</s>")
CODELLAMA = (*LLAMA, "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
DEEPSEEK = (
    *("<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
    *("<pad>", "<|User|>", "<|Assistant|>", "<|EOT|>"),
)
QWEN = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
    *("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
)
GEMMA = (
    *("<pad>", "<eos>", "<bos>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_separator|>"),
    *("<start_of_turn>", "<end_of_turn>"),
)
MISTRAL = (*LLAMA, "[INST]", "[/INST]", "[TOOL_CALLS]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]")
GRANITE_3 = (*STARCODER, "<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>")

ALPACA_CHAT = "{{ '### Instruction:\\n' + message['content'] + '\\n' }}"
CODELLAMA_70B_CHAT = "{% set content = 'Source: ' + message['role'] + '\\n\\n ' + message['content'] | trim %}"
LLAMA_2_CHAT = "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
CHATML_CHAT = "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
GEMMA_CHAT = "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
GRANITE_CHAT = "{{ 'Question:\\n' + message['content'] + '\\n\\n' }}"
GRANITE_3_CHAT = "{{- '<|start_of_role|>user<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}"
STARCODER2_CHAT = "{{'### Instruction\\n' + message['content'] + '\\n\\n'}}"


@dataclass(frozen=True)
class Checkpoint:
    """kind: of its tokenizer, as tiny_tokenizers names them."""

    kind: str
    special: tuple[str, ...]
    architecture: str
    name: str
    chat: str | None = None
    declared: str | None = None

    @property
    def tokenizer(self) -> CheckpointTokenizer:
        make = sentencepiece if self.kind in ("prepend", "metaspace", "gemma") else byte_level
        return load(make(self.special, self.kind))

    @property
    def identity(self) -> Identity:
        return Identity(self.architecture, self.tokenizer.special, self.chat, self.name, self.declared)

    def dialect(self, chosen: str = "auto") -> Dialect:
        return detect(self.identity, chosen)

    def but(self, **changes: object) -> Checkpoint:
        return replace(self, **changes)  # type: ignore[arg-type]


BUNDLED = Checkpoint("digits", STARCODER, "gpt_bigcode", "bundled", declared="starfill")
CHECKPOINTS = {  # family -> one of its checkpoints, instruction-tuned where there is one
    "starfill": BUNDLED,
    "starcoder": Checkpoint("digits", STARCODER, "gpt_bigcode", "starcoder-GPTQ"),
    "starcoder2": Checkpoint("digits", STARCODER2, "starcoder2", "starcoder2-15b-instruct-v0.1", STARCODER2_CHAT),
    "santacoder": Checkpoint("digits", SANTACODER, "gpt_bigcode", "santacoder"),
    "wizardcoder": Checkpoint("digits", (*STARCODER, "[PAD]"), "gpt_bigcode", "WizardCoder-15B-1.0-GPTQ"),
    "wizardcoder-python": Checkpoint("prepend", (*LLAMA, "[PAD]"), "llama", "WizardCoder-Python-13B-V1.0-GPTQ"),
    "codellama": Checkpoint("prepend", CODELLAMA, "llama", "CodeLlama-13B-Instruct-GPTQ", LLAMA_2_CHAT),
    "codellama-70b": Checkpoint(
        "prepend", (*CODELLAMA, "<step>"), "llama", "CodeLlama-70B-Instruct-GPTQ", CODELLAMA_70B_CHAT
    ),
    "llama": Checkpoint("prepend", LLAMA, "llama", "CodeLlama-34B-Instruct-GPTQ"),
    "deepseek-coder": Checkpoint("deepseek", DEEPSEEK, "llama", "deepseek-coder-6.7B-instruct-GPTQ", ALPACA_CHAT),
    "qwen2.5-coder": Checkpoint("qwen", QWEN, "qwen2", "Qwen2.5-Coder-7B-Instruct", CHATML_CHAT),
    "codegemma": Checkpoint("gemma", GEMMA, "gemma", "codegemma-7b-it", GEMMA_CHAT),
    "granite": Checkpoint("digits", STARCODER, "llama", "granite-8b-code-instruct", GRANITE_CHAT),
    "codestral": Checkpoint("metaspace", MISTRAL, "mistral", "Codestral-22B-v0.1"),
    "plain": Checkpoint("gpt2", ("<|endoftext|>",), "gpt_neox", "stablecode"),
}
