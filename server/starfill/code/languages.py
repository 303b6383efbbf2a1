"""The languages that Starfill can parse: a table from the protocol's language ids to tree-sitter's grammars.

tree-sitter and a grammar are imported when a document of that language is first parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language as Grammar
    from tree_sitter import Tree

_LONE_CR = re.compile(r"\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Language:
    """A grammar, and which of its nodes are functions and classes.

    module, function: where the grammar comes from. definitions: types of nodes that are whole definitions.
    anonymous: types of nodes that are functions without a name, which may be bound to one.
    names: the language's names in Markdown fences; we write the first one.
    """

    module: str
    definitions: frozenset[str]
    anonymous: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    function: str = "language"


def _language(module: str, names: str, definitions: str, anonymous: str = "", function: str = "language") -> Language:
    kinds = frozenset(definitions.split()), frozenset(anonymous.split())
    return Language(module, *kinds, names=tuple(names.split()), function=function)


_JAVASCRIPT = "function_declaration generator_function_declaration class_declaration class method_definition"
_TYPESCRIPT = (
    f"{_JAVASCRIPT} abstract_class_declaration interface_declaration enum_declaration type_alias_declaration "
    "function_signature"
)
_ARROWS = "arrow_function function_expression generator_function"
_C = "function_definition struct_specifier union_specifier enum_specifier"

LANGUAGES: Mapping[str, Language] = {
    "python": _language("tree_sitter_python", "python py python3", "function_definition class_definition"),
    "javascript": _language("tree_sitter_javascript", "javascript js node mjs jsx", _JAVASCRIPT, _ARROWS),
    "javascriptreact": _language("tree_sitter_javascript", "jsx javascript js", _JAVASCRIPT, _ARROWS),
    "typescript": _language(
        "tree_sitter_typescript", "typescript ts javascript js", _TYPESCRIPT, _ARROWS, "language_typescript"
    ),
    "typescriptreact": _language(
        "tree_sitter_typescript", "tsx typescript ts jsx", _TYPESCRIPT, _ARROWS, "language_tsx"
    ),
    "java": _language(
        "tree_sitter_java",
        "java",
        "method_declaration constructor_declaration compact_constructor_declaration class_declaration "
        "interface_declaration enum_declaration record_declaration annotation_type_declaration",
    ),
    "c": _language("tree_sitter_c", "c h", _C),
    "cpp": _language("tree_sitter_cpp", "cpp c++ cc cxx hpp c", f"{_C} class_specifier", "lambda_expression"),
    "csharp": _language(
        "tree_sitter_c_sharp",
        "csharp c# cs",
        "method_declaration constructor_declaration destructor_declaration operator_declaration property_declaration "
        "conversion_operator_declaration indexer_declaration local_function_statement class_declaration "
        "struct_declaration interface_declaration record_declaration enum_declaration",
    ),
    "go": _language(
        "tree_sitter_go", "go golang", "function_declaration method_declaration type_declaration", "func_literal"
    ),
    "rust": _language(
        "tree_sitter_rust",
        "rust rs",
        "function_item struct_item enum_item union_item trait_item impl_item macro_definition",
    ),
    "ruby": _language(
        "tree_sitter_ruby", "ruby rb", "method singleton_method class singleton_class module", "do_block"
    ),
    "php": _language(
        "tree_sitter_php",
        "php",
        "function_definition method_declaration class_declaration interface_declaration trait_declaration "
        "enum_declaration",
        "anonymous_function",
        function="language_php",
    ),
    "shellscript": _language("tree_sitter_bash", "bash sh shell zsh shellscript console", "function_definition"),
    "lua": _language("tree_sitter_lua", "lua", "function_declaration", "function_definition"),
}


SUFFIXES = {
    ".bash": "shellscript", ".c": "c", ".cc": "cpp", ".cjs": "javascript", ".cpp": "cpp", ".cs": "csharp",
    ".cxx": "cpp", ".go": "go", ".h": "c", ".hpp": "cpp", ".java": "java", ".js": "javascript",
    ".jsx": "javascriptreact", ".lua": "lua", ".mjs": "javascript", ".php": "php", ".py": "python", ".pyi": "python",
    ".rb": "ruby", ".rs": "rust", ".sh": "shellscript", ".ts": "typescript", ".tsx": "typescriptreact",
}  # fmt: skip


def language_id_of(path: PurePath) -> str:
    """The protocol's identifier of a file's language, by its extension; "plaintext" if that is unknown."""
    return SUFFIXES.get(path.suffix, "plaintext")


def fence_name(language_id: str) -> str:
    """The language's name in a Markdown fence."""
    language = LANGUAGES.get(language_id)
    return language.names[0] if language else language_id


def tree_of(text: str, language_id: str) -> Tree | None:
    """The syntax tree of a text, in bytes of UTF-8 (see `encoded`); None if the language has no grammar."""
    if language_id not in LANGUAGES:
        return None
    from tree_sitter import Parser

    return Parser(_grammar(language_id)).parse(encoded(text))  # a new parser each time: a parser serves one thread


def encoded(text: str) -> bytes:
    """The text that is parsed: CR alone becomes LF, since no grammar takes it as a line end; half characters become
    "?".
    """
    return _LONE_CR.sub("\n", text).encode("utf-8", "replace")


@cache
def _grammar(language_id: str) -> Grammar:
    from tree_sitter import Language as Grammar

    language = LANGUAGES[language_id]
    return Grammar(getattr(import_module(language.module), language.function)())
