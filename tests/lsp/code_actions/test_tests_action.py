"""Where tests go that the model has written: into the project's own, else into a new document."""

import itertools
from pathlib import Path

import pytest

from lsp.asking import action, apply, execute, from_server, instruct, messages
from lsp.client import Client
from lsp.params import position, silence
from lsp.profiles import ANSWERS, FULL, MEDIUM
from lsp.servers.scripted import COMMAND
from starfill.lsp.code_actions.tests_file import Home, appended, file_name, home_of
from starfill.text.document import Document

NUMBERS = itertools.count()
APPLY, SHOW = "workspace/applyEdit", "window/showDocument"
CODE = "def f(a):\n    return a\n"
TESTS = "def test_it():\n    assert True\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "src" / "inner").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    return tmp_path


@pytest.fixture(params=["full", "medium"])
def able(request):
    client = request.getfixturevalue(request.param)
    client.answers[APPLY] = lambda params: {"applied": True}
    client.answers[SHOW] = lambda params: {"success": True}
    return client


def add_folder(client, folder):
    event = {"added": [{"uri": folder.as_uri(), "name": folder.name}], "removed": []}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})


def written(client, path, text=CODE, language="python"):
    """Has tests written for a file; the params of the edit, and of the document shown afterwards."""
    applied, shown = len(from_server(client, APPLY, 0)), len(from_server(client, SHOW, 0))
    client.open(path.as_uri(), text, language)
    where = {"start": position(0, 0), "end": position(1, 0)}
    assert instruct(client, {"uri": path.as_uri(), "range": where, "action": "tests"}) is None
    params = from_server(client, APPLY, applied + 1)[-1]
    return params["edit"], from_server(client, SHOW, shown + 1)[-1]


def test_a_new_file_among_the_projects_tests(able, project):
    add_folder(able, project)
    edit, shown = written(able, project / "src" / "thing.py")
    uri = (project / "tests" / "test_thing.py").as_uri()
    create, change = edit["documentChanges"]
    assert create == {"kind": "create", "uri": uri, "options": {"ignoreIfExists": True}, "annotationId": "starfill"}
    assert change["textDocument"] == {"uri": uri, "version": None}
    assert change["edits"] == [
        {"range": {"start": position(0, 0), "end": position(0, 0)}, "newText": TESTS, "annotationId": "starfill"}
    ]
    assert edit["changeAnnotations"]["starfill"]["label"] == "Starfill: write tests"
    assert edit["changeAnnotations"]["starfill"]["needsConfirmation"] is True
    assert shown == {"uri": uri, "takeFocus": False}


def test_at_the_end_of_the_tests_there_are(able, project):
    add_folder(able, project)
    file = project / "tests" / "test_thing.py"
    file.write_bytes(b"def test_a():\r\n    pass")
    edit, shown = written(able, project / "thing.py")
    (change,) = edit["documentChanges"]
    assert change["textDocument"] == {"uri": file.as_uri(), "version": None}
    (each,) = change["edits"]
    assert each["range"] == {"start": position(1, 8), "end": position(1, 8)}
    assert each["newText"] == "\r\n\r\n\r\n" + TESTS.replace("\n", "\r\n")
    assert shown["uri"] == file.as_uri()


def test_at_the_end_of_the_tests_as_they_are_in_the_editor(able, project):
    add_folder(able, project)
    file = project / "tests" / "test_thing.py"
    file.write_text("something else")
    now = "import thing\n"
    able.open(file.as_uri(), now)
    able.change(file.as_uri(), {"text": now})
    edit, _ = written(able, project / "thing.py")
    (change,) = edit["documentChanges"]
    assert change["textDocument"] == {"uri": file.as_uri(), "version": 2}
    assert apply(now, change["edits"]) == f"{now}\n\n{TESTS}"


def test_a_document_without_a_name_where_the_project_has_no_tests(able, tmp_path):
    edit, shown = written(able, tmp_path / "thing.ts", "let a = 1\n", "typescript")
    (change,) = edit["documentChanges"]
    assert change["textDocument"] == {"uri": "untitled:thing.test.ts", "version": None}
    assert change["edits"][0]["annotationId"] == "starfill"
    assert shown == {"uri": "untitled:thing.test.ts", "takeFocus": False}


def test_nothing_is_shown_that_was_not_applied(able, project):
    able.answers[APPLY] = lambda params: {"applied": False}
    shown, said = len(from_server(able, SHOW, 0)), len(messages(able))
    able.open((project / "x.py").as_uri(), CODE)
    execute(able, action(able, "write tests", (project / "x.py").as_uri(), (0, 0), (1, 0)))
    able.wait(lambda: messages(able)[said:], "a message")
    assert messages(able)[-1] == "Starfill: write tests: the editor has not applied the edit"
    assert len(from_server(able, SHOW, 0)) == shown


def test_a_client_that_can_not_create_files(start, project):
    profile = MEDIUM | {"workspace": MEDIUM["workspace"] | {"workspaceEdit": {"documentChanges": True}}}
    client = start(profile, answers=ANSWERS | {APPLY: lambda params: {"applied": True}})
    client.wait_for_state("ready")
    add_folder(client, project)
    edit, _ = written(client, project / "thing.py")
    (change,) = edit["documentChanges"]
    assert change["textDocument"]["uri"] == "untitled:test_thing.py"
    assert "annotationId" not in change["edits"][0]


def test_the_root_of_an_older_client(project, warm):
    answers = ANSWERS | {APPLY: lambda params: {"applied": True}}
    with Client.start(COMMAND, initialize=False, answers=answers, popen=warm.popen) as client:
        client.request("initialize", {"processId": None, "rootUri": project.as_uri(), "capabilities": FULL})
        client.notify("initialized", {})
        client.wait_for_state("ready")
        edit, _ = written(client, project / "thing.py")
        assert edit["documentChanges"][0]["uri"] == (project / "tests" / "test_thing.py").as_uri()


def test_a_minimal_client_reads_them(minimal, tmp_path):
    minimal.answers[APPLY] = silence
    before = len(messages(minimal))
    uri = (tmp_path / "thing.py").as_uri()
    minimal.open(uri, CODE)
    execute(minimal, action(minimal, "write tests", uri, (0, 0), (2, 0)))
    minimal.wait(lambda: messages(minimal)[before:], "a message")
    assert messages(minimal)[before:] == [f"Starfill: thing.py:1-2\n{TESTS}"]


def test_a_minimal_client_gets_them_into_a_file_that_exists(minimal, project):
    minimal.answers[APPLY] = silence
    minimal.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": []}})
    add_folder(minimal, project)
    file = project / "tests" / "test_thing.py"
    file.write_text("a = 1\n")
    before = len(from_server(minimal, APPLY, 0))
    uri = (project / "thing.py").as_uri()
    minimal.open(uri, CODE)
    execute(minimal, action(minimal, "write tests", uri, (0, 0), (2, 0)))
    edit = from_server(minimal, APPLY, before + 1)[-1]["edit"]
    assert apply("a = 1\n", edit["changes"][file.as_uri()]) == f"a = 1\n\n\n{TESTS}"


# Which file


@pytest.mark.parametrize(
    ("path", "language", "there", "expected"),
    [
        ("thing.py", "python", ["tests/"], "tests/test_thing.py"),
        ("thing.py", "python", ["test/"], "test/test_thing.py"),
        ("thing.py", "python", ["test/", "tests/"], "tests/test_thing.py"),
        ("thing.py", "python", ["test/test_thing.py", "tests/"], "test/test_thing.py"),
        ("thing.py", "python", ["test"], None),  # a file of that name
        ("thing.py", "python", [], None),
        ("server/text/thing.py", "python", ["tests/text/", "tests/server/"], "tests/text/test_thing.py"),
        ("server/text/thing.py", "python", ["tests/text/", "tests/server/text/"], "tests/server/text/test_thing.py"),
        ("server/text/thing.py", "python", ["tests/text/", "tests/test_thing.py"], "tests/test_thing.py"),
        ("tests/test_thing.py", "python", ["tests/"], "tests/test_thing.py"),
        ("tests/inner/helper.py", "python", ["tests/inner/"], "tests/inner/test_helper.py"),
        ("src/thing.ts", "typescript", ["tests/"], "tests/thing.test.ts"),
        ("src/thing.tsx", "typescriptreact", ["test/"], "test/thing.test.tsx"),
        ("src/thing.go", "go", ["tests/", "src/"], "src/thing_test.go"),
        ("src/Thing.java", "java", ["test/"], "test/ThingTest.java"),
        ("src/thing.rs", "rust", ["tests/"], "tests/thing.rs"),
        ("src/thing.odd", "odd", ["tests/"], "tests/test_thing.odd"),
        ("../outside.py", "python", ["tests/"], None),
    ],
)
def test_which_file(tmp_path, path, language, there, expected):
    root = tmp_path / "project"
    root.mkdir()
    for each in there:
        place = root / each
        (place if each.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not each.endswith("/"):
            place.touch()
    home = home_of(Path(f"{root}/{path}").resolve(), language, [tmp_path / "other", root])
    assert (home and home.path.relative_to(root).as_posix()) == expected


def test_the_innermost_folder_counts(tmp_path):
    for folder in ("tests", "part/tests"):
        (tmp_path / folder).mkdir(parents=True)
    home = home_of(tmp_path / "part" / "a.py", "python", [tmp_path, tmp_path / "part"])
    assert home == Home(tmp_path / "part" / "tests" / "test_a.py", None)


def test_a_link_out_of_the_project_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "tests").symlink_to(tmp_path / "elsewhere")
    assert home_of(tmp_path / "project" / "a.py", "python", [tmp_path / "project"]) is None


def test_a_file_that_is_no_text_is_left_alone(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "test").mkdir()
    (tmp_path / "tests" / "test_a.py").write_bytes(b"\xff\xfe")
    assert home_of(tmp_path / "a.py", "python", [tmp_path]) == Home(tmp_path / "test" / "test_a.py", None)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "", "T\n"),
        ("python", "\n", "T\n"),
        ("python", "a\n", "\n\nT\n"),
        ("python", "a", "\n\n\nT\n"),
        ("go", "a\n", "\nT\n"),
        ("go", "a\r\nb", "\r\n\r\nT\r\n"),
    ],
)
def test_what_is_added(language, text, expected):
    document = Document.open("file:///a", language, 1, text)
    assert appended(document, "\r\nT\r\n") == expected


def test_a_name_stays_what_it_is():
    assert file_name(Path("test_a.py"), "python") == "test_a.py"
    assert file_name(Path("a.test.js"), "javascript") == "a.test.js"
    assert file_name(Path("Makefile"), "makefile") == "test_Makefile"
