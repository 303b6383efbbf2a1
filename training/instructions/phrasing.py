"""How a task may be worded: half of the time as the server's action words it, where there is such an action."""

from __future__ import annotations

from random import Random

from starfill.assist.instruct.actions import FIX_PROBLEM, INSTRUCTIONS

CANONICAL_SHARE = 0.5

# task -> (the action that it trains, other wordings)
WORDINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "return condition": ("refactor", ("Return the condition itself.", "Simplify the return statement.")),
    "merge ifs": ("refactor", ("Merge the nested if statements.", "Use one if with `and` instead of two.")),
    "plain comparison": ("refactor", ("Simplify the condition.", "Write the condition as is usual in Python.")),
    "comprehension": ("refactor", ("Use a comprehension instead of the loop.", "Rewrite the loop as a comprehension.")),
    "any or all": ("refactor", ("Use any() or all() instead of the loop.", "Replace the loop by any() or all().")),
    "plain loop": ("refactor", ("Loop over the items instead of an index.", "Don't use range(len(...)).")),
    "unused variable": ("refactor", ("Remove the unused variable.", "Remove variables that aren't used.")),
    "f-string": ("refactor", ("Use an f-string.", "Rewrite the string formatting as an f-string.")),
    "pathlib": ("", ("Use pathlib instead of os.path.", "Rewrite this with pathlib.", "Replace os.path by pathlib.")),
    "to a loop": ("", ("Rewrite the comprehension as a loop.", "Use a loop instead of the comprehension.")),
    "generator": ("optimise", ("Use a generator expression.", "Don't build a list that isn't needed.")),
    "set membership": ("optimise", ("Use a set for the membership test.",)),
    "keys": ("optimise", ("Remove the needless call of keys().",)),
    "items": ("optimise", ("Loop over items() instead of looking each key up.",)),
    "min and max": ("optimise", ("Use min() or max() instead of sorting.",)),
    "join": ("optimise", ("Use join() instead of adding strings up.",)),
    "explain": ("explain", ("What does this code do?", "Describe what this code does.", "Summarise this code.")),
    "docstring": ("docstring", ("Write a docstring for this function.", "Document this function.")),
    "types": ("types", ("Annotate this function with types.", "Add types to this function.")),
    "tests": ("tests", ("Write a test for this function.", "Test this function.")),
    "fix": ("fix", ("Find and fix the bug.", "Correct this code.")),
    "clear names": ("refactor", ("Give the variable a name that says what it means.", "Use clearer variable names.")),
}


def instruction(task: str, rng: Random) -> str:
    action, others = WORDINGS[task]
    if action and rng.random() < CANONICAL_SHARE:
        return INSTRUCTIONS[action]
    return rng.choice(others)


def fix_problem(problem: str) -> str:
    return FIX_PROBLEM.format(problem=problem)


def rename(old: str, new: str, rng: Random) -> str:
    return rng.choice((f"Rename `{old}` to `{new}`.", f"Rename the variable `{old}` to `{new}`."))


def write_function(signature: str, summary: str, rng: Random) -> str:
    summary = summary.rstrip(".")
    return rng.choice(
        (
            f"Write a Python function `{signature}`: {summary}.",
            f"Write the function `{signature}`. {summary}.",
            f"Write a function in Python. {summary}.\n\nIts signature: {signature}",
        )
    )


def write_code(comment: str, rng: Random) -> str:
    comment = comment.rstrip(".:")
    return rng.choice(
        (f"Write Python code for this: {comment}.", f"Write code that does this: {comment}.", f"{comment}.")
    )
