"""Who may import whom: lsp -> assist -> engine -> checkpoint, and lsp, assist -> text."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "server"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "starfill").rglob("*.py"))
}

ANYONE = {"background", "errors", "prefix", "settings", "values"}
ROOMS = {  # room -> the rooms that it may import, besides itself
    "text": set(),
    "checkpoint": set(),
    "engine": {"checkpoint"},
    "quantize": {"checkpoint", "engine"},
    "assist": {"text", "engine"},
    "lsp": {"assist", "text", "engine"},
    "evaluation": {"assist", "text", "engine", "headless"},
    "demo": {"headless", "lsp"},
}
ONLY_JOBS = {"assist", "lsp", "evaluation"}  # of the engine they see the values that go in and out, which need no torch
ONLY_FRAMING = {"demo"}  # a client: of lsp it sees how messages are cut, and nothing that a server is
OWNERS = {  # a library -> the rooms that may import it
    "pygls": {"lsp"},
    "lsprotocol": {"lsp"},
    "torch": {"engine", "checkpoint", "quantize"},
    "httpx2": {"engine"},
    "huggingface_hub": {"checkpoint"},
    "tree_sitter": {"assist"},
    "textual": {"demo"},
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


def room(module: str) -> str:
    """The room of one of our modules; a module that stands alone is its own."""
    return (*module.split("."), "")[1]


CASES = [(module, name) for module, path in MODULES.items() for name in sorted(imports(path, module))]
OURS = [(module, name) for module, name in CASES if name.split(".")[0] == "starfill"]


def test_there_is_something_to_check():
    assert {"text", "lsp", "assist", "engine", "checkpoint"} <= {room(module) for module in MODULES}
    assert ("starfill.lsp.transport", "starfill.lsp.server") in OURS
    assert ("starfill.lsp.server", "lsprotocol") in CASES


def test_arrows():
    strays = [
        f"{module} imports {name}"
        for module, name in OURS
        if (here := room(module)) in ROOMS
        and (
            room(name) not in {"", here} | ANYONE | ROOMS[here]
            or (here in ONLY_JOBS and room(name) == "engine" and name != "starfill.engine.job")
            or (here in ONLY_FRAMING and room(name) == "lsp" and name != "starfill.lsp.framing")
        )
    ]
    assert strays == []


def test_what_anyone_imports_imports_nothing_else_of_ours():
    strays = [(module, name) for module, name in OURS if room(module) in ANYONE and room(name) not in ANYONE]
    assert strays == []


def test_nothing_imports_app_but_the_command_line():
    assert {room(module) for module, name in OURS if room(name) == "app"} <= {"cli", "commands", "__main__"}


def test_the_ways_to_an_engine_elsewhere():
    """What asks an engine has passed by the consent; what speaks to it needs no torch."""
    assert {module for module, name in OURS if name == "starfill.remote"} == {"starfill.app"}
    assert {room(module) for module, name in OURS if name == "starfill.consent"} <= {"app", "remote", "commands"}
    remote = {module for module, _ in CASES if module.startswith("starfill.engine.remote")}
    assert {module for module, name in CASES if name.split(".")[0] == "httpx2"} <= remote
    opening = {module for module, name in OURS if name == "starfill.engine.remote.opening"}
    assert opening - remote == {"starfill.remote"}
    strays = [
        (module, name)
        for module, name in OURS
        if module in remote and room(name) == "engine" and name != "starfill.engine.job" and name not in remote
    ]
    assert strays == []


def test_only_a_gpu_needs_triton():
    """It is imported with the room that needs it, which nothing else imports before there is a GPU."""
    inside = {module for module in MODULES if module.startswith("starfill.engine.cuda")}
    assert {module for module, name in CASES if name.split(".")[0] == "triton"} <= inside
    strays = [
        (module, ast.unparse(node))
        for module, path in MODULES.items()
        if module not in inside
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.Import, ast.ImportFrom)) and "starfill.engine.cuda" in ast.unparse(node)
    ]
    assert strays == []


def test_libraries_have_owners():
    strays = [
        f"{module} imports {name}"
        for module, name in CASES
        if (owners := OWNERS.get(name.split(".")[0])) is not None and room(module) not in owners
    ]
    assert strays == []
