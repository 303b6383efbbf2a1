"""Which documents may be read."""

import pytest

from starfill.config.access_policy import AccessPolicy
from starfill.config.parse import parse


@pytest.mark.parametrize(
    ("globs", "uri", "excluded"),
    [
        (["**/*.env"], "file:///home/me/project/.env", True),
        (["**/*.env"], "file:///home/me/project/prod.env", True),
        (["**/*.env"], "file:///home/me/env.py", False),
        (["*.env"], "file:///home/me/deep/down/prod.env", True),
        (["secrets"], "file:///home/me/secrets/a/b.py", True),
        (["secrets/"], "file:///home/me/secrets/a.py", True),
        (["secrets/*.py"], "file:///home/me/secrets/a.py", True),
        (["secrets/*.py"], "file:///home/me/secrets/deep/a.py", False),
        (["secrets/**/a.py"], "file:///home/me/secrets/a.py", True),
        (["secrets/**/a.py"], "file:///home/me/secrets/x/y/a.py", True),
        (["secrets/**"], "file:///home/me/secrets/x/y/a.py", True),
        (["my secrets"], "file:///home/me/my%20secrets/a.py", True),
        (["secrets"], "file:///home/me/nosecrets.py", False),
        (["/home/me"], "file:///home/me/a.py", True),
        (["/me"], "file:///home/me/a.py", False),
        (["?.py"], "file:///home/me/a.py", True),
        (["?.py"], "file:///home/me/ab.py", False),
        (["a.py"], "file:///c%3A/Users/me/a.py", True),
        (["c:/Users"], "file:///c%3A/Users/me/a.py", True),
        (["[x].py"], "file:///home/[x].py", True),
        (["x.py", "Untitled*"], "untitled:Untitled-1", True),
        ([], "file:///home/me/a.py", False),
    ],
)
def test_excluded_globs(globs, uri, excluded):
    settings, _ = parse({"excludedGlobs": globs})
    reason = AccessPolicy.of(settings).refusal(uri, "python")
    assert (reason is not None) == excluded == (not AccessPolicy.of(settings).keeps(uri))
    if reason:
        assert f'excludedGlobs lists "{globs[-1]}"' in reason


@pytest.mark.parametrize(
    ("languages", "enabled"),
    [(["*"], True), (["python"], True), (["lua", "python"], True), (["lua"], False), ([], False)],
)
def test_enabled_languages(languages, enabled):
    settings, _ = parse({"enabledLanguages": languages})
    reason = AccessPolicy.of(settings).refusal("file:///a.py", "python")
    assert (reason is None) == enabled
    if reason:
        assert 'language "python"' in reason
