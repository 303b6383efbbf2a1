"""The system call filter, run by a small interpreter of classic BPF: also for the machine that isn't at hand."""

from __future__ import annotations

import pytest

from starfill.evaluation.sandbox import kernel
from starfill.evaluation.sandbox.kernel import ALLOW, ARCHITECTURES, ENOSYS, EPERM, ERRNO, seccomp_filter

ME = 4711
THREAD = 0x3D0F00  # glibc's flags for a thread
FORK = 0x1200011  # and for a process
CALLS = {  # name -> number on x86_64, on aarch64
    "read": (0, 63), "write": (1, 64), "openat": (257, 56), "mmap": (9, 222), "futex": (202, 98), "exit": (60, 93),
    "clone": (56, 220), "clone3": (435, 435), "fork": (57, None), "vfork": (58, None), "execve": (59, 221),
    "socket": (41, 198), "socketpair": (53, 199), "kill": (62, 129), "tgkill": (234, 131), "tkill": (200, 130),
    "ptrace": (101, 117), "chmod": (90, None), "fchmodat": (268, 53), "mount": (165, 40), "prlimit64": (302, 261),
    "io_uring_setup": (425, 425), "unlinkat": (263, 35),
}  # fmt: skip


def verdict(machine: str, number: int, argument: int = 0, arch: int | None = None) -> int:
    """What the filter answers to a system call with that first argument."""
    _, audit = ARCHITECTURES[machine]
    data = {kernel.NR: number, kernel.ARCH: audit if arch is None else arch, kernel.ARG0: argument & 0xFFFFFFFF}
    code = seccomp_filter(ME, machine)
    accumulator = at = 0
    while True:
        op, true, false, constant = code[at]
        at += 1
        if op == kernel.RET:
            return constant
        if op == kernel.LD:
            accumulator = data[constant]
            continue
        holds = {
            kernel.JEQ: accumulator == constant,
            kernel.JGE: accumulator >= constant,
            kernel.JSET: bool(accumulator & constant),
        }[op]
        at += true if holds else false


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_is_refused(machine: str) -> None:
    def of(name: str, argument: int = 0) -> int | None:
        number = CALLS[name][ARCHITECTURES[machine][0]]
        return None if number is None else verdict(machine, number, argument)

    no = ERRNO | EPERM
    for name in ("read", "write", "openat", "mmap", "futex", "exit", "socketpair", "unlinkat"):
        assert of(name) == ALLOW, name
    for name in (
        "fork",
        "vfork",
        "execve",
        "socket",
        "tkill",
        "ptrace",
        "chmod",
        "fchmodat",
        "mount",
        "io_uring_setup",
    ):
        assert of(name) in (no, None), name
    assert of("clone", THREAD) == ALLOW
    assert of("clone", FORK) == no
    assert of("clone3") == ERRNO | ENOSYS
    for name in ("kill", "tgkill"):
        assert [of(name, pid) for pid in (ME, 1, 0, -1, ME + 1)] == [ALLOW, no, no, no, no]
    assert [of("prlimit64", pid) for pid in (0, ME, 1)] == [ALLOW, ALLOW, no]


def test_other_abis_are_refused() -> None:
    i386 = 0x40000003
    for machine in ARCHITECTURES:
        assert verdict(machine, 0, arch=i386) == ERRNO | EPERM
    assert verdict("x86_64", kernel.X32 | 1) == ERRNO | EPERM
