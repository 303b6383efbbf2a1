"""The process that runs gptqmodel: `python -m starfill.quantize.gptqmodel_worker JOB.json`, see gptqmodel.py.

It imports nothing of ours: the library changes the environment, the logging and torch's threads of the process that
imports it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(path: Path) -> None:
    from gptqmodel import GPTQModel, QuantizeConfig

    job = json.loads(path.read_text(encoding="utf-8"))
    config = QuantizeConfig(
        bits=job["bits"],
        group_size=job["group_size"],
        desc_act=job["desc_act"],
        sym=job["sym"],
        damp_percent=job["damp"],
        format=job["checkpoint_format"],
        act_group_aware=False,  # another act order, which group_size -1 can't have
        offload_to_disk=False,
    )
    model = GPTQModel.load(job["source"], config, device=job["device"], dtype="float32")
    calibration = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in job["ids"]]
    model.quantize(calibration, batch_size=1, calibration_data_min_length=1)
    model.save(job["destination"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
