"""The settings as documentation: the table, the schema, the extension for VS Code."""

import json
import subprocess
import sys
from pathlib import Path

from starfill.config.parse import FIELDS, parse
from starfill.config.reference import schema, table
from starfill.config.settings import Settings

ROOT = Path(__file__).parents[2]


DOCUMENTED = ROOT / "docs/settings.md"


def test_the_table_in_the_documentation():
    text = DOCUMENTED.read_text(encoding="utf-8")
    begin, end = "<!-- settings:begin -->\n", "\n<!-- settings:end -->"
    assert begin in text and end in text, "docs/settings.md has no block for the settings"
    assert text.split(begin)[1].split(end)[0].strip() == table(), "run `python -m starfill.config.reference`"


def test_the_module_prints_the_table():
    run = subprocess.run(
        [sys.executable, "-m", "starfill.config.reference"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == table()
    assert all(f"| `{name}` |" in run.stdout for name in FIELDS)


def test_the_module_prints_a_schema_for_editors():
    command = [sys.executable, "-m", "starfill.config.reference", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = json.loads(run.stdout)
    assert printed == json.loads(json.dumps(schema()))
    assert list(printed) == [f"starfill.{name}" for name in FIELDS]
    assert printed["starfill.device"] == {
        "type": "string",
        "enum": ["auto", "cpu", "cuda"],
        "default": "auto",
        "description": FIELDS["device"].metadata["description"],
    }
    assert printed["starfill.candidates"].items() >= {"type": "integer", "minimum": 1, "maximum": 8}.items()
    assert printed["starfill.enabled"].items() >= {"type": "boolean", "default": True}.items()
    assert printed["starfill.disabledLanguages"]["items"] == {"type": "string"}
    own = printed["starfill.instructions"]["items"]
    assert own["required"] == ["title", "instruction"]
    assert own["properties"]["placement"]["enum"] == ["replace", "insert-before", "insert-after", "show"]


def test_the_settings_of_the_extension_for_vs_code():
    manifest = json.loads((ROOT / "clients" / "vscode" / "package.json").read_text(encoding="utf-8"))
    own = ("starfill.server.", "starfill.trace.")
    shown = manifest["contributes"]["configuration"]["properties"]
    servers = {name: each for name, each in shown.items() if not name.startswith(own)}
    declared = {
        name: {("markdownDescription" if key == "description" else key): value for key, value in each.items()}
        for name, each in json.loads(json.dumps(schema())).items()
    }
    scopes = {name: each.pop("scope") for name, each in servers.items() if "scope" in each}
    assert servers == declared, "run `npm run settings` in clients/vscode"
    redirecting = {f"starfill.engine.{name}" for name in ("url", "apiKeyEnv", "apiKeyFile", "tokenizer")}
    assert redirecting <= set(manifest["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"])
    assert scopes == {
        "starfill.engine.url": "machine-overridable",
        "starfill.engine.apiKeyEnv": "machine",  # a folder names no key, trusted or not
        "starfill.engine.apiKeyFile": "machine",
    }


def test_a_schema_s_own_defaults_are_right():
    assert parse({name.removeprefix("starfill."): each["default"] for name, each in schema().items()}) == (
        Settings(),
        [],
    )
