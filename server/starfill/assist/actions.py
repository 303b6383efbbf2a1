"""The instructions behind the code actions, word for word: the bundled model was trained on what the server asks.

Pure data. The selected code is not part of the text: the prompt template of the model's family adds it.
"""

from __future__ import annotations

from collections.abc import Mapping

INSTRUCTIONS: Mapping[str, str] = {
    "explain": "Explain what this code does.",
    "refactor": "Make this code simpler and easier to read without changing what it does.",
    "docstring": "Add a docstring to this function.",
    "types": "Add type annotations to this function.",
    "tests": "Write tests for this code.",
    "fix": "Fix the problem in this code.",
    "optimise": "Make this code faster without changing what it does.",
}

# "fix" where the editor has told what is wrong (a diagnostic's message).
FIX_PROBLEM = "Fix this problem in the code: {problem}"
