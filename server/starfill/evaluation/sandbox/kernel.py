"""What the Linux kernel takes away from a process for good, without privileges: seccomp and Landlock.

Called by the guard in the process that will run foreign code. Nothing that the code does can undo either. Numbers and
layouts are those of the kernel's headers (linux/seccomp.h, linux/filter.h, linux/landlock.h, asm/unistd.h).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

# System calls by name: their numbers on x86_64 and on aarch64 (0: there is none).
REFUSED = {
    # processes
    "fork": (57, 0), "vfork": (58, 0), "execve": (59, 221), "execveat": (322, 281),
    # the network, and io_uring, which could use it unseen
    "socket": (41, 198), "io_uring_setup": (425, 425),
    # other processes
    "ptrace": (101, 117), "process_vm_writev": (311, 271), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    # modes and owners of files, which Landlock doesn't restrict
    "chmod": (90, 0), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, 0),
    "fchown": (93, 55), "lchown": (94, 0), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    # memory that no limit counts, or that outlives the process
    "memfd_create": (319, 279), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # the machine itself, if the user has the rights
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "unshare": (272, 97), "setns": (308, 268),
    "reboot": (169, 142), "bpf": (321, 280), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104), "swapon": (167, 224), "clock_settime": (227, 112), "settimeofday": (164, 170),
    "sethostname": (170, 161), "keyctl": (250, 219), "add_key": (248, 217),
}  # fmt: skip
ONLY_SELF = {"kill": (62, 129), "tgkill": (234, 131)}  # the first argument is a process id
OR_ZERO = {"prlimit64": (302, 261)}  # the same, and 0 means oneself
CLONE, CLONE3 = (56, 220), (435, 435)
CLONE_THREAD = 0x10000
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_*
X32 = 0x40000000  # system calls of x86_64's third ABI have this bit

LD, JEQ, JGE, JSET, RET = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF, on 32-bit words
NR, ARCH, ARG0 = 0, 4, 16  # offsets in struct seccomp_data, on little-endian machines
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EPERM, ENOSYS = 1, 38
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
WRITE_FILE, REFER, TRUNCATE = 1 << 1, 1 << 13, 1 << 14
CHANGES = WRITE_FILE | sum(1 << bit for bit in range(4, 13))  # and removing and making anything; ABI 1

BpfInstruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def seccomp_filter(pid: int, machine: str) -> list[BpfInstruction]:
    """A filter under which process `pid` can make threads, but no processes, no sockets and no signals to others.

    Raises KeyError for a machine whose system calls aren't in the tables.
    """
    column, audit = ARCHITECTURES[machine]
    refuse = (RET, 0, 0, ERRNO | EPERM)
    allow = (RET, 0, 0, ALLOW)
    code: list[BpfInstruction] = [(LD, 0, 0, ARCH), (JEQ, 1, 0, audit), refuse, (LD, 0, 0, NR)]
    if machine == "x86_64":
        code += [(JGE, 0, 1, X32), refuse]
    for numbers in REFUSED.values():
        if numbers[column]:
            code += [(JEQ, 0, 1, numbers[column]), refuse]
    # glibc falls back to clone, whose flags a filter can read.
    code += [(JEQ, 0, 1, CLONE3[column]), (RET, 0, 0, ERRNO | ENOSYS)]
    code += [(JEQ, 0, 4, CLONE[column]), (LD, 0, 0, ARG0), (JSET, 0, 1, CLONE_THREAD), allow, refuse]
    for numbers in ONLY_SELF.values():
        code += [(JEQ, 0, 4, numbers[column]), (LD, 0, 0, ARG0), (JEQ, 0, 1, pid), allow, refuse]
    for numbers in OR_ZERO.values():
        code += [(JEQ, 0, 5, numbers[column]), (LD, 0, 0, ARG0), (JEQ, 1, 0, 0), (JEQ, 0, 1, pid), allow, refuse]
    return [*code, allow]


def refuse_calls() -> bool:
    """Install the filter for this process. False if the kernel or the machine has no seccomp."""
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        return False
    code = seccomp_filter(os.getpid(), platform.machine())
    raw = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(raw, len(raw))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    return _no_new_privileges() and _libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0


def write_only_below(folder: Path) -> bool:
    """Let this process change nothing outside `folder` but /dev/null. False if the kernel has no Landlock."""
    if sys.platform != "linux":
        return False
    libc = _libc()
    abi = libc.syscall(LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        return False
    handled = CHANGES | (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0)
    ruleset = libc.syscall(LANDLOCK_CREATE, struct.pack("Q", handled), 8, 0)
    if ruleset < 0:
        return False
    for path, rights in ((folder, handled), (Path(os.devnull), handled & (WRITE_FILE | TRUNCATE))):
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        added = libc.syscall(LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", rights, beneath), 0)
        os.close(beneath)
        if added < 0:
            return False
    restricted = _no_new_privileges() and libc.syscall(LANDLOCK_RESTRICT, ruleset, 0) == 0
    os.close(ruleset)
    return restricted


def _no_new_privileges() -> bool:
    return int(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
