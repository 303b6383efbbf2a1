"""One instruction with its answer, as training reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """`code`: whether the output is Python, to be fenced. `checked`: "same" where running both sides said so."""

    task: str
    instruction: str
    given: str
    output: str
    code: bool = True
    checked: str = "unknown"

    def line(self) -> dict[str, str]:
        output = f"```python\n{self.output}\n```" if self.code else self.output
        given = {"input": self.given} if self.given else {}
        return {"instruction": self.instruction, **given, "output": output, "task": self.task}
