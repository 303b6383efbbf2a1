"""What three editors declare that they can do: the parts that Starfill's answers depend on, as they write them."""

from __future__ import annotations

from typing import Any

KINDS = ["", "quickfix", "refactor", "refactor.extract", "refactor.inline", "refactor.rewrite", "source"]

FULL: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "codeAction": {
            "dynamicRegistration": True,
            "isPreferredSupport": True,
            "disabledSupport": True,
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit", "command"]},
            "codeActionLiteralSupport": {
                "codeActionKind": {
                    "valueSet": [*KINDS, "refactor.move", "source.organizeImports", "notebook"],
                }
            },
            "honorsChangeAnnotations": True,
            "documentationSupport": True,
            "tagSupport": {"valueSet": [1]},
        },
        "inlineCompletion": {"dynamicRegistration": True},
    },
    "notebookDocument": {"synchronization": {"dynamicRegistration": True, "executionSummarySupport": True}},
    "window": {
        "workDoneProgress": True,
        "showMessage": {"messageActionItem": {"additionalPropertiesSupport": True}},
        "showDocument": {"support": True},
    },
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {
            "documentChanges": True,
            "resourceOperations": ["create", "rename", "delete"],
            "failureHandling": "textOnlyTransactional",
            "normalizesLineEndings": True,
            "changeAnnotationSupport": {"groupsOnLabel": True},
            "metadataSupport": True,
            "snippetEditSupport": True,
        },
        "configuration": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "workspaceFolders": True,
        "textDocumentContent": {"dynamicRegistration": True},
    },
}
"""VS Code (vscode-languageclient 11.0.0)."""

MEDIUM: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]},
    "textDocument": {
        "codeAction": {
            "dynamicRegistration": True,
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": [*KINDS, "source.organizeImports"]}},
            "isPreferredSupport": True,
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit", "command"]},
            "disabledSupport": True,
            "honorsChangeAnnotations": True,
        },
        "inlineCompletion": {"dynamicRegistration": False},
    },
    "window": {
        "workDoneProgress": True,
        "showMessage": {"messageActionItem": {"additionalPropertiesSupport": True}},
        "showDocument": {"support": True},
    },
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {
            "resourceOperations": ["rename", "create", "delete"],
            "normalizesLineEndings": True,
            "changeAnnotationSupport": {"groupsOnLabel": True},
        },
        "configuration": True,
        "didChangeConfiguration": {"dynamicRegistration": False},
        "workspaceFolders": True,
    },
}
"""Neovim 0.12: it applies documentChanges without declaring them, and asks what annotations want to be asked."""

MINIMAL: dict[str, Any] = {
    "textDocument": {
        "synchronization": {"dynamicRegistration": False, "didSave": True},
        "completion": {"dynamicRegistration": False, "completionItem": {"documentationFormat": ["plaintext"]}},
        "codeAction": {"dynamicRegistration": False},
    },
    "workspace": {"applyEdit": False, "workspaceFolders": False, "configuration": False},
}
"""ALE: code actions are commands, and it applies the edits it is sent without a word, though it declares not to."""

ANSWERS = {"workspace/configuration": lambda params: [None for _ in params["items"]]}
"""To the server's questions, of each of them: no settings of its own."""
