"""Who may import whom, down to the folders: one floor rests on the next, and an arrow never goes up.

The plan is in `arrows.py`.
"""

import ast

from arrows import (
    CASES,
    FILES,
    FLOORS,
    FOLDERS,
    MODULES,
    OURS,
    OWNERS,
    PICTURE,
    circles,
    folder,
    mermaid,
    picture,
    room,
)


def test_there_is_something_to_check() -> None:
    assert {"lsp", "assist", "engine", "checkpoint", "text"} <= {room(module) for module in MODULES}
    assert ("starfill.lsp.transport", "starfill.lsp.server") in OURS
    assert ("starfill.lsp.server", "lsprotocol") in CASES
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": []}) == [["b", "c"]]


def test_arrows() -> None:
    strays = [
        f"{module} imports {name}"
        for module, name in OURS
        if (here := folder(module)) != (there := folder(name)) and there not in FLOORS[here]
    ]
    assert strays == []


def test_the_plan_has_no_more_than_there_is() -> None:
    """A room that is gone, or an arrow that nobody needs any more, leaves the plan too."""
    assert FLOORS == FOLDERS


def test_the_plan_is_written_from_the_top_down() -> None:
    floors = list(FLOORS)
    upward = [
        (here, there) for here, others in FLOORS.items() for there in others if floors.index(there) < floors.index(here)
    ]
    assert upward == []


def test_nothing_goes_in_circles() -> None:
    assert circles(FILES) == []
    assert circles(FOLDERS) == []


def test_a_client_sees_only_how_messages_are_cut() -> None:
    assert {name for module, name in OURS if room(module) == "demo" and room(name) == "lsp"} == {"starfill.lsp.framing"}


def test_what_asks_an_engine_elsewhere_has_passed_by_the_consent() -> None:
    assert {module for module, name in OURS if name == "starfill.remote.connect"} == {"starfill.app.remote_engine"}
    assert ("starfill.app.remote_engine", "starfill.config.allowed_engines") in OURS


def test_only_a_gpu_needs_triton() -> None:
    """What imports it is imported by others only once there is a GPU, inside a function."""
    kernels = {module for module, name in CASES if name.split(".")[0] == "triton"}
    kernels |= {module for module, names in FILES.items() if names & kernels and folder(module) == "engine.cuda"}
    strays = [
        (module, ast.unparse(node))
        for module, path in MODULES.items()
        if folder(module) != "engine.cuda" and module != "starfill.engine.models.cuda_steps"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in kernels | {"starfill.engine.models.cuda_steps", "starfill.engine.models.cuda_graphs"}
        if name in ast.unparse(node).replace(" import ", ".")
    ]
    assert kernels and [stray for stray in strays if stray[0] != "starfill.engine.models.cuda_graphs"] == []


def test_libraries_have_owners() -> None:
    strays = [
        f"{module} imports {name}"
        for module, name in CASES
        if (owners := OWNERS.get(name.split(".")[0])) is not None and not {room(module), folder(module)} & owners
    ]
    assert strays == []


def test_the_picture_is_drawn_from_the_imports() -> None:
    assert picture(PICTURE.read_text(encoding="utf-8")) == mermaid(), "run `python tests/arrows.py`"


def test_files_and_folders_stay_small() -> None:
    """A newcomer finds the room in a minute: 300 lines a file, and about 15 files a folder."""
    lines = {module: path.read_text(encoding="utf-8").count("\n") for module, path in MODULES.items()}
    files = {name: sum(folder(module) == name for module in MODULES) - 1 for name in FOLDERS}  # without __init__.py
    assert {module: count for module, count in lines.items() if count > 300} == {}
    assert {name: count for name, count in files.items() if count > 16} == {}
