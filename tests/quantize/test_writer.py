"""The file that is written tensor by tensor, and the folder that appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from starfill.errors import SettingsError
from starfill.quantize.writer import TensorFile, check_destination, check_room, copy_companions, new_folder

TENSORS = {
    "b.weight": torch.arange(12, dtype=torch.float16).view(3, 4),
    "a.qweight": torch.arange(-5, 5, dtype=torch.int32).view(2, 5),
    "odd": torch.ones(3, dtype=torch.float16),
    "empty": torch.ones(0, 4, dtype=torch.float16),
}


def test_safetensors_reads_what_was_written_in_any_order(tmp_path: Path) -> None:
    entries = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in TENSORS.items()}
    with TensorFile(tmp_path / "x.safetensors", entries) as out:
        for name in sorted(TENSORS):
            out.write(name, TENSORS[name].t().contiguous().t() if TENSORS[name].dim() == 2 else TENSORS[name])
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118 - no mapping
            name: tensor.tolist() for name, tensor in TENSORS.items()
        }


def test_a_forgotten_tensor_is_noticed(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="never written"),
        TensorFile(tmp_path / "x.safetensors", {"a": (torch.float16, (2,))}),
    ):
        pass


@pytest.mark.parametrize("exists", [False, True])
def test_the_folder_appears_when_all_went_well(tmp_path: Path, exists: bool) -> None:
    wanted = tmp_path / "models" / "new"
    if exists:
        wanted.mkdir(parents=True)
    with new_folder(wanted) as folder:
        (folder / "config.json").write_text("{}")
        assert not (wanted / "config.json").exists()
    assert [path.name for path in wanted.parent.iterdir()] == ["new"]
    assert (wanted / "config.json").read_text() == "{}"


@pytest.mark.parametrize("reason", [ValueError, KeyboardInterrupt])
def test_and_nothing_is_left_otherwise(tmp_path: Path, reason: type[BaseException]) -> None:
    with pytest.raises(reason), new_folder(tmp_path / "new") as folder:
        (folder / "model.safetensors").write_bytes(b"half")
        raise reason
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_and_a_full_disk_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(SettingsError, match="is not an empty folder"):
            check_destination(place)
    with pytest.raises(SettingsError, match=r"needs 1000000000\.0 GB"):
        check_room(tmp_path / "not" / "there" / "yet", 10**18)
    check_room(tmp_path / "new", 1)


def test_companions_are_copied_and_code_and_weights_are_not(tmp_path: Path) -> None:
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    made.mkdir()
    kept = {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "LICENSE", "README.md", "merges.txt"}
    for name in kept | {"modeling.py", "tokenizer_code.py", "pytorch_model.bin", "model.safetensors", "config.json"}:
        (source / name).write_text(name)
    (made / "tokenizer.json").write_text("already")
    copy_companions(source, made)
    assert {path.name for path in made.iterdir()} == kept
    assert (made / "tokenizer.json").read_text() == "already"
