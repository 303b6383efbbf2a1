"""The rooms of server/starfill and what they import, read from the source: FLOORS is the plan of the house.

python tests/arrows.py    draws the picture in server/ARCHITECTURE.md anew
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "server"
PICTURE = ROOT / "server" / "ARCHITECTURE.md"
BEGIN, END = "```mermaid\n", "```\n"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "starfill").rglob("*.py"))
}

# A folder, or a file that stands alone -> those that it may import, besides itself; from the top floor down.
_FLOORS = {
    "__main__": "cli",
    "cli": "app assist.completion assist.instruct checkpoint code config demo engine.kv engine.loading "
    "engine.native errors evaluation evaluation.sandbox jobs lsp quantize remote text util",
    "app": "assist.completion assist.instruct assist.prompts checkpoint config engine engine.kv engine.loading "
    "errors jobs lsp.models remote util",
    "demo": "code errors lsp util",
    "evaluation": "assist.completion assist.instruct assist.prompts code config errors evaluation.sandbox jobs text",
    "lsp": "assist.completion code config errors lsp.client lsp.code_actions lsp.documents lsp.models text util",
    "lsp.code_actions": "assist.instruct code errors lsp.client lsp.documents lsp.models text util",
    "lsp.models": "assist.completion assist.instruct config errors jobs lsp.client text util",
    "lsp.documents": "config errors lsp.client text",
    "lsp.client": "config text util",
    "assist.instruct": "assist.completion assist.prompts code config errors jobs text util",
    "assist.completion": "assist.prompts code config errors jobs text util",
    "assist.prompts": "config errors",
    "quantize": "checkpoint engine.linear engine.loading errors",
    "remote": "errors jobs remote.apis",
    "remote.apis": "jobs",
    "engine.loading": "checkpoint engine engine.cuda engine.linear engine.models errors jobs util",
    "engine.models": "engine engine.cuda engine.kv engine.linear engine.native errors",
    "engine": "engine.kv errors jobs",
    "assist": "",
    "code": "text",
    "config": "errors util",
    "engine.kv": "checkpoint engine.native jobs util",
    "checkpoint": "errors util",
    "engine.linear": "engine.cuda engine.native",
    "engine.cuda": "",
    "engine.native": "",
    "evaluation.sandbox": "errors",
    "jobs": "",
    "text": "util",
    "util": "errors",
    "errors": "",
}
FLOORS = {name: set(allowed.split()) for name, allowed in _FLOORS.items()}
OWNERS = {  # a library -> the rooms that may import it
    "pygls": {"lsp"},
    "lsprotocol": {"lsp"},
    "torch": {"engine", "checkpoint", "quantize"},
    "triton": {"engine.cuda"},
    "httpx2": {"remote"},
    "huggingface_hub": {"checkpoint"},
    "tree_sitter": {"code"},
    "textual": {"demo"},
    "click": {"cli"},
}


def imports(path: Path, module: str) -> set[str]:
    """The full names of all modules that a file imports, wherever it does; of ours, down to the module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found


def folder(module: str) -> str:
    """The folder of one of our modules; one that stands alone is its own."""
    parts = MODULES[module].relative_to(SOURCE / "starfill").parts
    return ".".join(parts[:-1]) or parts[0].removesuffix(".py")


def room(module: str) -> str:
    """The topmost folder."""
    return folder(module).partition(".")[0]


CASES = [(module, name) for module, path in MODULES.items() for name in sorted(imports(path, module))]
OURS = [(module, name) for module, name in CASES if name in MODULES and name != "starfill"]
FILES = {module: {name for importer, name in OURS if importer == module} for module in MODULES}
FOLDERS: dict[str, set[str]] = {folder(module): set() for module in MODULES if module != "starfill"}
for importer, name in OURS:
    if folder(importer) != folder(name):
        FOLDERS[folder(importer)].add(folder(name))


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Each set of nodes that can all be reached from each other, as Tarjan finds them; [] where arrows run one way."""
    found: list[list[str]] = []
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], index[other])
        if lowest[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def mermaid() -> str:
    """The rooms as a Mermaid graph, without the ground that everybody stands on, and without arrows that follow from
    others."""
    ground = {"errors", "util", "text", "config", "jobs", "__main__"}
    rooms: dict[str, set[str]] = {}
    for module, name in OURS:
        here, there = room(module), room(name)
        if here != there and not {here, there} & ground:
            rooms.setdefault(here, set()).add(there)
    lines = ["graph TD"]
    for here, others in sorted(rooms.items()):
        for there in sorted(others):
            if not any(there in _reached(rooms, other) for other in others - {there}):
                lines.append(f"  {here} --> {there}")
    return "\n".join(lines) + "\n"


def _reached(graph: Mapping[str, set[str]], node: str) -> set[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def picture(text: str) -> str:
    """What ARCHITECTURE.md has between its marks."""
    return text.split(BEGIN, 1)[1].split(END, 1)[0]


if __name__ == "__main__":
    page = PICTURE.read_text(encoding="utf-8")
    PICTURE.write_text(page.replace(picture(page), mermaid()), encoding="utf-8")
