"""Which threads compute, as Linux counts the process's, and what computing imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TASKS = Path("/proc/self/task")
COUNT = """
import os
import torch
from starfill.app.backend import LocalBackend
from starfill.jobs import Job
from starfill.config.settings import Settings

models = [LocalBackend().open(Settings()) for _ in range(2)]
for opened in models:
    opened.engine.submit(Job(key=0, ids=tuple(range(100, 400)), max_new_tokens=4, candidates=2)).future.result()
print(len(os.listdir("/proc/self/task")), torch.get_num_threads())
for opened in models:
    opened.close()
"""
IMPORTS = """
import sys
from starfill.app.backend import LocalBackend
from starfill.jobs import Job
from starfill.config.settings import Settings

opened = LocalBackend().open(Settings(device="cpu"))
opened.engine.submit(Job(key=0, ids=tuple(range(100, 400)), max_new_tokens=4)).future.result()
opened.close()
print(*sys.modules)
"""


@pytest.mark.skipif(not TASKS.exists(), reason="counts threads in Linux's /proc")
def test_all_models_share_one_pool_of_threads(tmp_path):
    """With a second one, OpenMP finds itself with more threads than cores and decode takes three times as long."""
    # A new cache, so that loading repacks; and no threads of NumPy's own library.
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True)
    threads, computing = map(int, done.stdout.split())
    assert threads == 1 + computing  # the main one, and the engine's with its pool


def test_torchs_compiler_and_triton_stay_out_on_a_cpu():
    """They take a second to import, and so does whatever imports them on its way, such as torch.nn.attention.bias."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert not {"triton", "torch._dynamo", "transformers"} & set(done.stdout.split())
