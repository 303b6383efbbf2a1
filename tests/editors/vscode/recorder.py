"""A language server in between: starts the real one, passes everything on and notes it down for the tests.

RECORDS names a folder. PID.jsonl in it (of the recorder's pid) gets {"server": pid, "started": seconds} and then every
message, {"from": "client" or "server", "message": ...}. What is written into the FIFO PID.ask, a message a line, goes
to the server as well, and its answer, whose id begins with "test", to the record only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

RECORDS = Path(os.environ["RECORDS"])
COMMAND = [str(Path(sys.executable).with_name("starfill")), *sys.argv[1:]]


def read(stream: BinaryIO) -> bytes | None:
    """The next message as it stands, or None at the end."""
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return stream.read(length) if length else None


def write(stream: BinaryIO, body: bytes, lock: threading.Lock) -> None:
    with lock:
        stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        stream.flush()


def main() -> None:
    server = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin and server.stdout
    record = (RECORDS / f"{os.getpid()}.jsonl").open("w", encoding="utf-8")
    lock, noting = threading.Lock(), threading.Lock()

    def note(entry: dict[str, Any]) -> None:
        with noting:
            print(json.dumps(entry), file=record, flush=True)

    def from_client() -> None:
        while (body := read(sys.stdin.buffer)) is not None:
            note({"from": "client", "message": json.loads(body)})
            write(server.stdin, body, lock)
        server.stdin.close()

    def from_tests() -> None:
        fifo = RECORDS / f"{os.getpid()}.ask"
        os.mkfifo(fifo)
        while True:
            for line in fifo.read_text(encoding="utf-8").splitlines():
                write(server.stdin, line.encode(), lock)

    note({"server": server.pid, "started": time.time()})
    for source in (from_client, from_tests):
        threading.Thread(target=source, daemon=True).start()
    to_client = threading.Lock()
    while (body := read(server.stdout)) is not None:
        message = json.loads(body)
        note({"from": "server", "message": message})
        if not str(message.get("id")).startswith("test"):
            write(sys.stdout.buffer, body, to_client)
    os._exit(server.wait())  # threads are still reading


if __name__ == "__main__":
    main()
