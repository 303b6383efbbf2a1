"""The code in a model's answer, without fences and the sentences around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from textwrap import dedent

from starfill.assist.instruct.fences import FencedBlock, blocks
from starfill.assist.instruct.prose import is_sentence, without_beginning, without_end
from starfill.code.indentation import indent_of
from starfill.code.languages import LANGUAGES, tree_of
from starfill.code.python_source import is_only_words, parsed

# Languages that consist of prose, so that fences may be part of the text; and their names in fences.
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "asciidoc": ("adoc",),
    "git-commit": ("text",),
    "html": (),
    "latex": ("tex",),
    "markdown": ("md",),
    "mdx": ("markdown", "md"),
    "plaintext": ("text", "txt"),
    "quarto": ("markdown", "md"),
    "restructuredtext": ("rst",),
    "tex": ("latex",),
    "typst": (),
    "xml": (),
}
# accompany the code, and don't replace it
_ASIDES = frozenset({"bash", "console", "diff", "output", "patch", "sh", "shell"})
_IMPORT = re.compile(r"\s*(?:import|from|#\s*include|using|use|require|package)\b")
_CUTS = 20  # how many places are tried as the beginning of an explanation


def code_in(answer: str, language: str) -> str | None:
    """The code of an answer, with "\n" as line ends and no blank lines at either end; None if there is none.

    language: the document's language identifier in the protocol. A block that is never closed goes to the end of the
    answer; the caller must know whether the answer was cut short.
    """
    answer = answer.replace("\r\n", "\n").replace("\r", "\n")
    # the fences may be in a docstring
    found = [] if language == "python" and parsed(dedent(answer)) else blocks(answer)
    if language in _TEXTS:
        code = _text_in(answer, found, language)
    elif found and not _ends_code(answer, found[0], language):
        code = _chosen_block(found, language)
    else:
        code = _without_chatter(answer[: found[0].start] if found else answer, language)
    code = re.sub(r"\A(?:[ \t]*\n)+", "", code).rstrip()
    if language == "python":
        code = _with_first_indent(code)
    return code or None


def _text_in(answer: str, found: list[FencedBlock], language: str) -> str:
    """The text of an answer in a language of prose: its only block, or the first block that says this language, or all
    of it.
    """
    named = [block for block in found if block.language in _names(language)]
    if named:
        return named[0].code
    whole = len(found) == 1 and not answer[: found[0].start].strip() and answer.rstrip().endswith(("```", "~~~"))
    return found[0].code if whole else answer


def _ends_code(answer: str, block: FencedBlock, language: str) -> bool:
    """Whether the first fence ends code that stands before it (the prompt had opened the block), or only shows how to
    use that code.
    """
    before = _without_chatter(answer[: block.start], language)
    if not before.strip():
        return False
    if not block.info and not block.closed and not _without_chatter(block.code, language).strip():
        return True
    tree = parsed(dedent(before)) if language == "python" else None
    return tree is not None and bool(tree.body)  # to Python a heading is a comment


def _chosen_block(found: list[FencedBlock], language: str) -> str:
    """The first block in the language that has more than imports; if no block says its language, the longest; else
    "".
    """
    full = [block for block in found if block.code.strip()]
    named = [block for block in full if block.language in _names(language)]
    if named:
        return next((block for block in named if not _only_imports(block.code)), named[0]).code
    unnamed = [block for block in full if not block.language]
    others = [block for block in full if block.language not in _ASIDES]
    return max((block.code for block in unnamed or others), key=len, default="")


def _names(language: str) -> tuple[str, ...]:
    known = LANGUAGES.get(language)
    return (language, *(known.names if known else _TEXTS.get(language, ())))


def _only_imports(code: str) -> bool:
    return all(_IMPORT.match(line) for line in code.split("\n") if line.strip())


def _without_chatter(text: str, language: str) -> str:
    """Without the sentences before and after the code; "" if nothing else is there."""
    if language == "python" and (tree := parsed(dedent(text))) is not None:
        return "" if is_only_words(tree) else text
    lines = without_beginning(text.split("\n"))
    cuts = [at for at, line in enumerate(lines) if at and is_sentence(line) and not line[0].isspace()]
    for at in cuts[:_CUTS]:
        head = "\n".join(lines[:at])
        if _is_sound(head, language):
            lines = lines[:at]
            break
    code = "\n".join(without_end(lines))
    tree = parsed(dedent(code)) if language == "python" else None
    return "" if tree is not None and is_only_words(tree) else code


def _is_sound(code: str, language: str) -> bool:
    """Whether the code parses by itself; without a parser, whether it ends in a blank line."""
    if language == "python":
        return parsed(dedent(code)) is not None
    tree = tree_of(code, language)
    return not tree.root_node.has_error if tree else code.endswith("\n")


def _with_first_indent(code: str) -> str:
    """Python code whose first line alone has lost its indentation, with the indentation restored."""
    first, _, rest = code.partition("\n")
    indents = [indent_of(line) for line in rest.split("\n") if line.strip()]
    shallowest = min(indents, key=len, default="")
    if first[:1].isspace() or not shallowest or parsed(code) is not None:
        return code
    return shallowest + code if parsed(dedent(shallowest + code)) is not None else code
