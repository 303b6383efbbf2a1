"""The code actions as data: what each is called, what it asks for, and where the answer goes.

The bundled model was trained on these instructions word for word (training/instructions). The selected code is not part
of them: the prompt template of the model's family adds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from starfill.config.settings import Settings

INSTRUCTIONS: Mapping[str, str] = {
    "explain": "Explain what this code does.",
    "refactor": "Make this code simpler and easier to read without changing what it does.",
    "docstring": "Add a docstring to this function.",
    "types": "Add type annotations to this function.",
    "tests": "Write tests for this code.",
    "fix": "Fix the problem in this code.",
    "optimise": "Make this code faster without changing what it does.",
}

# The instruction of "fix" if the editor has said what is wrong.
FIX_PROBLEM = "Fix this problem in the code: {problem}"
MAX_PROBLEM = 500  # characters of a diagnostic's message; type checkers write whole pages

QUICKFIX, REFACTOR, REWRITE = "quickfix", "refactor", "refactor.rewrite"  # kinds of the protocol


class Placement(Enum):
    """What happens to an answer. TESTS: shown, or put into a file of the project's tests; the caller knows where."""

    REPLACE = "replace"
    BEFORE = "insert-before"
    AFTER = "insert-after"
    SHOW = "show"
    TESTS = "tests"


@dataclass(frozen=True, slots=True)
class Action:
    """An action on code. name: the name in commands and on the command line. languages: "*" means all."""

    name: str
    title: str
    instruction: str
    kind: str
    placement: Placement
    languages: tuple[str, ...] = ("*",)

    def wording(self, problem: str = "") -> str:
        """The instruction; that of "fix" names the problem if it is known."""
        return FIX_PROBLEM.format(problem=problem) if self.name == "fix" and problem else self.instruction


def _built_in(name: str, what: str, kind: str, placement: Placement, languages: tuple[str, ...] = ("*",)) -> Action:
    return Action(name, f"Starfill: {what}", INSTRUCTIONS[name], kind, placement, languages)


ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        _built_in("explain", "explain", REFACTOR, Placement.SHOW),
        _built_in("refactor", "simplify", REWRITE, Placement.REPLACE),
        _built_in("docstring", "add docstring", REWRITE, Placement.REPLACE),
        _built_in(
            "types",
            "add type annotations",
            REWRITE,
            Placement.REPLACE,
            ("python", "typescript", "typescriptreact", "php"),
        ),
        _built_in("tests", "write tests", REFACTOR, Placement.TESTS),
        _built_in("fix", "fix", QUICKFIX, Placement.REPLACE),
        _built_in("optimise", "optimise", REWRITE, Placement.REPLACE),
    )
}


def actions_for(settings: Settings, language_id: str) -> list[Action]:
    """The built-in actions, then the user's own, if they are meant for this language.

    An action of the user's is called by its title. If that is the name of a built-in action, it replaces it.
    """
    own = {
        each.title: Action(
            each.title, each.title, each.instruction, each.kind, Placement(each.placement), each.languages
        )
        for each in settings.instructions
    }
    actions = {**ACTIONS, **own}
    return [action for action in actions.values() if "*" in action.languages or language_id in action.languages]


def custom_action(instruction: str) -> Action:
    """An instruction in the user's own words."""
    return Action("ask", "Starfill: ask", instruction, REWRITE, Placement.REPLACE)


def problem_text(message: str, source: str = "", code: str = "", line: str = "") -> str:
    """The problem of a diagnostic in the words of "fix". line: the text of the line it is on."""
    message = " ".join(message.split())[:MAX_PROBLEM]
    origin = " ".join(filter(None, (source, code)))
    text = f"{message} ({origin})" if origin else message
    return f"{text}, in the line `{line.strip()}`" if line.strip() else text
