"""The architectures as shapes: what config.json says, and which tensors follow from it.

Field names are those of config.json. Sources of the figures: BigCode's StarCoder and StarCoder2 papers and the
`config.json` of each model as public code quotes it; StarCoder2's, TinyLlama's, Qwen2.5-Coder's and DeepSeek-Coder's
agree with their published numbers of parameters (tests/engine/loading/test_mission.py). Shapes of the mission's
checkpoints: `mission.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any

Linears = dict[str, tuple[int, int]]  # full name -> (in_features, out_features)


class Shape(ABC):
    """What a checkpoint of an architecture consists of, whatever its quantization."""

    vocab_size: int
    tokenizer: str  # "byte-level" or "sentencepiece"
    tied: bool  # the output head is the embedding table

    @abstractmethod
    def config_json(self) -> dict[str, Any]: ...

    @abstractmethod
    def linears(self) -> Linears: ...

    @abstractmethod
    def biased(self, linear: str) -> bool:
        """Whether the architecture gives this layer a bias."""

    @abstractmethod
    def plain(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all other tensors: tables (two dimensions) and norms."""

    @abstractmethod
    def with_layers(self, layers: int) -> Shape: ...


@dataclass(frozen=True)
class GptBigCode(Shape):
    n_layer: int
    n_embd: int
    n_head: int
    n_positions: int
    vocab_size: int
    activation_function: str = "gelu_pytorch_tanh"

    tokenizer = "byte-level"
    tied = True

    def config_json(self) -> dict[str, Any]:
        return {
            "model_type": "gpt_bigcode",
            "architectures": ["GPTBigCodeForCausalLM"],
            **_fields(self),
            "n_inner": 4 * self.n_embd,
            "multi_query": True,
            "layer_norm_epsilon": 1e-5,
            "bos_token_id": 0,
            "eos_token_id": 0,
        }

    def linears(self) -> Linears:
        d, kv = self.n_embd, 2 * self.n_embd // self.n_head
        parts = {"attn.c_attn": (d, d + kv), "attn.c_proj": (d, d), "mlp.c_fc": (d, 4 * d), "mlp.c_proj": (4 * d, d)}
        return {f"transformer.h.{i}.{name}": size for i in range(self.n_layer) for name, size in parts.items()}

    def biased(self, linear: str) -> bool:
        return True

    def plain(self) -> dict[str, tuple[int, ...]]:
        d = self.n_embd
        norms = [f"transformer.h.{i}.{norm}" for i in range(self.n_layer) for norm in ("ln_1", "ln_2")]
        return {
            "transformer.wte.weight": (self.vocab_size, d),
            "transformer.wpe.weight": (self.n_positions, d),
            **{f"{norm}.{part}": (d,) for norm in (*norms, "transformer.ln_f") for part in ("weight", "bias")},
        }

    def with_layers(self, layers: int) -> GptBigCode:
        return replace(self, n_layer=layers)


@dataclass(frozen=True)
class Rotary(Shape):
    """What llama, qwen2 and starcoder2 share: rotary positions, grouped queries, `model.layers.N.self_attn`."""

    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    max_position_embeddings: int
    rope_theta: float = 10000.0
    tie_word_embeddings: bool = False

    @property
    def tied(self) -> bool:  # type: ignore[override]
        return self.tie_word_embeddings

    @property
    @abstractmethod
    def mlp(self) -> Linears: ...

    norm_parts = ("weight",)

    def linears(self) -> Linears:
        d = self.hidden_size
        kv = d // self.num_attention_heads * self.num_key_value_heads
        attention = {"q_proj": (d, d), "k_proj": (d, kv), "v_proj": (d, kv), "o_proj": (d, d)}
        parts = {f"self_attn.{name}": size for name, size in attention.items()}
        parts |= {f"mlp.{name}": size for name, size in self.mlp.items()}
        layers = range(self.num_hidden_layers)
        return {f"model.layers.{i}.{name}": size for i in layers for name, size in parts.items()}

    def plain(self) -> dict[str, tuple[int, ...]]:
        d, table = self.hidden_size, (self.vocab_size, self.hidden_size)
        kinds = ("input_layernorm", "post_attention_layernorm")
        norms = [f"model.layers.{i}.{norm}" for i in range(self.num_hidden_layers) for norm in kinds]
        found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": table}
        found |= {f"{norm}.{part}": (d,) for norm in (*norms, "model.norm") for part in self.norm_parts}
        return found if self.tied else {**found, "lm_head.weight": table}

    def with_layers(self, layers: int) -> Rotary:
        return replace(self, num_hidden_layers=layers)


@dataclass(frozen=True)
class Llama(Rotary):
    """model_type "qwen2": llama with biases on queries, keys and values."""

    rms_norm_eps: float = 1e-5
    rope_scaling: dict[str, Any] | None = None
    model_type: str = "llama"
    tokenizer: str = "sentencepiece"

    @property
    def mlp(self) -> Linears:
        d, inner = self.hidden_size, self.intermediate_size
        return {"gate_proj": (d, inner), "up_proj": (d, inner), "down_proj": (inner, d)}

    def biased(self, linear: str) -> bool:
        return self.model_type == "qwen2" and linear.endswith(("q_proj", "k_proj", "v_proj"))

    def config_json(self) -> dict[str, Any]:
        architecture = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}[self.model_type]
        raw = {"architectures": [architecture], **_fields(self), "hidden_act": "silu", "torch_dtype": "float16"}
        del raw["tokenizer"]
        return {**raw, "bos_token_id": 1, "eos_token_id": 2}


@dataclass(frozen=True)
class Starcoder2(Rotary):
    norm_epsilon: float = 1e-5
    sliding_window: int | None = 4096

    norm_parts = ("weight", "bias")
    tokenizer = "byte-level"

    @property
    def mlp(self) -> Linears:
        return {
            "c_fc": (self.hidden_size, self.intermediate_size),
            "c_proj": (self.intermediate_size, self.hidden_size),
        }

    def biased(self, linear: str) -> bool:
        return True

    def config_json(self) -> dict[str, Any]:
        return {
            "model_type": "starcoder2",
            "architectures": ["Starcoder2ForCausalLM"],
            **_fields(self),
            "hidden_act": "gelu_pytorch_tanh",
            "use_bias": True,
            "bos_token_id": 0,
            "eos_token_id": 0,
        }


def _fields(shape: Any) -> dict[str, Any]:
    return {field.name: getattr(shape, field.name) for field in fields(shape)}


SHAPES: dict[str, Shape] = {
    "tiny": GptBigCode(2, 64, 2, 256, 300),
    "tiny-llama": Llama(2, 64, 96, 4, 2, 550, 256),
    "starcoderbase-1b": GptBigCode(24, 2048, 16, 8192, 49152),
    "starcoderbase-3b": GptBigCode(36, 2816, 22, 8192, 49152),
    "starcoderbase-7b": GptBigCode(42, 4096, 32, 8192, 49152),
    "starcoder-15b": GptBigCode(40, 6144, 48, 8192, 49152),
    "starcoder2-3b": Starcoder2(30, 3072, 12288, 24, 2, 49152, 16384, 999999.4420358813, tie_word_embeddings=True),
    "starcoder2-7b": Starcoder2(32, 4608, 18432, 36, 4, 49152, 16384, 1e6, tie_word_embeddings=True),
    "starcoder2-15b": Starcoder2(40, 6144, 24576, 48, 4, 49152, 16384, 1e5),
    "tinyllama-1.1b": Llama(22, 2048, 5632, 32, 4, 32000, 2048),
    "codellama-7b": Llama(32, 4096, 11008, 32, 32, 32016, 16384, 1e6),
    "codellama-13b-python": Llama(40, 5120, 13824, 40, 40, 32000, 16384, 1e6),
    "codellama-70b": Llama(80, 8192, 28672, 64, 8, 32016, 4096),
    "deepseek-coder-1.3b": Llama(
        *(24, 2048, 5504, 16, 16, 32256, 16384, 1e5),
        rms_norm_eps=1e-6,
        rope_scaling={"type": "linear", "factor": 4.0},
        tokenizer="byte-level",
    ),
    "qwen2.5-coder-1.5b": Llama(
        *(28, 1536, 8960, 12, 2, 151936, 32768, 1e6),
        tie_word_embeddings=True,
        rms_norm_eps=1e-6,
        model_type="qwen2",
        tokenizer="byte-level",
    ),
}
