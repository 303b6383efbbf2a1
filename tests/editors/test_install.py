"""What `make editors` does where something is missing or fails. Nothing is installed: its apt is a stub."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import pytest

INSTALL = Path(__file__).with_name("install.sh")
SYSTEM = (
    "awk",
    "bash",
    "cat",
    "chmod",
    "dirname",
    "env",
    "flock",
    "grep",
    "ln",
    "mkdir",
    "mktemp",
    "rm",
    "sed",
    "sort",
    "tail",
)
SYSTEM += ("touch", "tr", "dpkg")
ROOT = {"id": "echo 0", "sleep": ":"}
BARE = {"apt-cache": ":", "apt-get": ":"}  # without package lists
INSTALLED = 'printf "#!/bin/sh\\necho GNU Emacs 30.1\\n" > "${0%/*}/emacs" && chmod +x "${0%/*}/emacs"'


def debian() -> bool:
    release = Path("/etc/os-release")
    return release.exists() and "\nID=debian\n" in release.read_text() and platform.machine() == "x86_64"


pytestmark = pytest.mark.skipif(not debian(), reason="for Debian on amd64")


def install(folder: Path, programs: dict[str, str], part: str = "emacs") -> subprocess.CompletedProcess[str]:
    """A run on a machine that has only these programs (their scripts) beside the system's."""
    path = folder / "path"
    path.mkdir(exist_ok=True)
    for name in SYSTEM:
        if not (path / name).exists():
            (path / name).symlink_to(next(file for each in ("/usr/bin", "/bin") if (file := Path(each, name)).exists()))
    for name, script in programs.items():
        (path / name).write_text(f"#!/bin/bash\n{script}\n")
        (path / name).chmod(0o755)
    env = {"PATH": str(path), "HOME": str(folder), "STARFILL_EDITORS": str(folder / "editors")}
    command = [path / "bash", INSTALL, part]
    return subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False, timeout=60)


def test_a_bare_system_gets_emacs_from_backports(tmp_path: Path) -> None:
    """It knows its mirror once it has package lists."""
    mirror = '*indextargets*SITE*) if [ -e "$HOME/lists" ]; then echo http://mirror.example/debian/; fi ;;'
    update = '*update) : > "$HOME/lists" ;;'
    install_it = f'*" install "*emacs-nox) {INSTALLED} ;;'
    apt = f'echo "$*" >> "$HOME/apt"\ncase "$*" in {mirror} {update} {install_it} esac'
    done = install(tmp_path, ROOT | BARE | {"apt-get": apt})
    assert done.returncode == 0, done.stdout + done.stderr
    calls = (tmp_path / "apt").read_text().splitlines()
    assert re.search(r" install --target-release \w+-backports emacs-nox$", calls[-1])


def test_a_system_whose_own_emacs_is_new_enough_gets_that(tmp_path: Path) -> None:
    apt = f'echo "$*" >> "$HOME/apt"\ncase "$*" in *" install emacs-nox") {INSTALLED} ;; esac'
    done = install(tmp_path, ROOT | {"apt-get": apt, "apt-cache": "echo '  Candidate: 1:30.1+1-6'"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "apt").read_text().splitlines()[1:] == [
        "-y -q -o DPkg::Lock::Timeout=300 --no-install-recommends --no-remove install emacs-nox"
    ]


def test_a_second_run_installs_nothing(tmp_path: Path) -> None:
    done = install(tmp_path, ROOT | {"emacs": "echo GNU Emacs 29.4", "apt-get": "exit 1", "apt-cache": "exit 1"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failure_names_the_part_the_command_and_what_it_printed(tmp_path: Path) -> None:
    apt = 'case "$*" in *install*) echo "E: the disk is full" && exit 100 ;; esac'
    done = install(tmp_path, ROOT | {"apt-get": apt, "apt-cache": "echo '  Candidate: 1:30.1+1-6'"})
    assert done.returncode == 1
    said = done.stderr.split("\n")
    assert said[1].startswith("The part emacs failed, in apt.sh, line ")
    assert "with exit code 100: env DEBIAN_FRONTEND=noninteractive apt-get" in said[1]
    assert "    E: the disk is full" in said
    assert "Not installed: emacs." in done.stderr and "    make editors\n" in done.stderr


def test_without_root_and_sudo_it_says_so(tmp_path: Path) -> None:
    done = install(tmp_path, BARE | {"id": "echo 1000", "sleep": ":"})
    assert done.returncode == 1
    assert "there is no sudo: run it as root, or install sudo." in done.stderr


def test_a_release_that_no_mirror_has_is_named(tmp_path: Path) -> None:
    apt = 'case "$*" in *--error-on*) exit 100 ;; *indextargets*SITE*) echo http://mirror.example/debian/ ;; esac'
    done = install(tmp_path, ROOT | BARE | {"apt-get": apt})
    assert done.returncode == 1
    assert "-backports can be had from none of: http://mirror.example/debian" in done.stderr


def test_an_older_emacs_that_comes_first_on_path_gives_way(tmp_path: Path) -> None:
    done = install(
        tmp_path, ROOT | {"emacs": "echo GNU Emacs 27.1", "apt-get": ":", "apt-cache": "echo '  Candidate: 1:30.1'"}
    )
    link = tmp_path / "editors/bin/emacs"
    assert link.is_symlink() and link.readlink() == Path("/usr/bin/emacs")
    assert done.returncode == 0 or "and yet" in done.stderr  # as this machine's own


def test_there_is_no_such_part(tmp_path: Path) -> None:
    done = install(tmp_path, {}, "ed")
    assert done.returncode == 2
    assert done.stderr.startswith("There is no part ed; there are programs emacs")
