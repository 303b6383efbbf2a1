"""How fast training is, in tokens a second and as a share of what the chip could do."""

from __future__ import annotations

import torch

from model import LanguageModel

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # bf16, dense


class Rate:
    """How fast a run is: tokens a second, and the share of the chip's peak where that is known."""

    def __init__(self, model: LanguageModel, device: torch.device) -> None:
        self.parameters = sum(p.numel() for n, p in model.named_parameters() if "wpe" not in n)
        self.layers, self.width = model.model.config.n_layer, model.model.config.n_embd
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        self.peak = next((flops for chip, flops in PEAK_FLOPS.items() if chip in name), None)
        self.last: tuple[float, int] | None = None

    def flops(self, length: int) -> float:
        """Of one token, forward and backward, in sequences of `length`: 6 for each weight that multiplies (the
        embedding counts once, as the head), and attention's products (PaLM, arXiv 2204.02311, appendix B)."""
        return 6.0 * self.parameters + 12.0 * self.layers * self.width * length

    def since_last(self, seconds: float, tokens: int, length: int) -> dict[str, float]:
        """{"tokens_per_second", "mfu"} since the call before; empty at the first."""
        before, self.last = self.last, (seconds, tokens)
        if before is None or seconds <= before[0]:
            return {}
        speed = (tokens - before[1]) / (seconds - before[0])
        mfu = {"mfu": speed * self.flops(length) / self.peak} if self.peak else {}
        return {"tokens_per_second": round(speed), **mfu}

    def text(self, speed: dict[str, float]) -> str:
        tokens = f"{speed.get('tokens_per_second', 0):,.0f} tokens/s"
        return f"{tokens}, {100 * speed['mfu']:.0f} % of peak" if "mfu" in speed else tokens
