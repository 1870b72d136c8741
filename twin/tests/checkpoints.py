"""Random Hugging Face checkpoints: a family is one entry of `FAMILIES`, its config.json and its tensors' shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .packages import tokenizer_json


@dataclass(frozen=True)
class Sizes:
    """Sizes of a checkpoint; by default few of them divide each other, or any vector's width."""

    hidden: int = 50
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 6
    inner: int = 67
    vocab: int = 37
    context: int = 32
    tied: bool = False
    experts: int = 5


Tensors = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Family:
    """A family: its architecture, config fields beside the common ones, and its tensors."""

    architecture: str
    model_type: str
    tensors: Callable[[Sizes], Tensors]
    config: dict[str, Any] = field(default_factory=dict)
    encoder: bool = False


def common_config(sizes: Sizes) -> dict[str, Any]:
    """What the decoders' families call alike."""
    return {
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "intermediate_size": sizes.inner,
        "vocab_size": sizes.vocab,
        "max_position_embeddings": sizes.context,
        "tie_word_embeddings": sizes.tied,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "initializer_range": 0.02,
        "use_cache": True,
        "torch_dtype": "float32",
    }


def decoder(
    attention: Callable[[Sizes, str], Tensors] = lambda sizes, at: iter(()),
    mlp: Callable[[Sizes, str], Tensors] | None = None,
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm"),
) -> Callable[[Sizes], Tensors]:
    """Tensors of a decoder of Llama's make: `attention` adds to a layer's own, `mlp` replaces its MLP."""

    def tensors(sizes: Sizes) -> Tensors:
        queries, keys = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
        yield "model.embed_tokens.weight", (sizes.vocab, sizes.hidden)
        for i in range(sizes.layers):
            at = f"model.layers.{i}."
            for name, out, inner in (
                ("q", queries, sizes.hidden), ("k", keys, sizes.hidden), ("v", keys, sizes.hidden),
                ("o", sizes.hidden, queries),
            ):  # fmt: skip
                yield f"{at}self_attn.{name}_proj.weight", (out, inner)
            yield from attention(sizes, at)
            yield from (mlp or gated_mlp)(sizes, at)
            for name in norms:
                yield f"{at}{name}.weight", (sizes.hidden,)
        yield "model.norm.weight", (sizes.hidden,)
        if not sizes.tied:
            yield "lm_head.weight", (sizes.vocab, sizes.hidden)

    return tensors


def gated_mlp(sizes: Sizes, at: str) -> Tensors:
    """Llama's MLP."""
    yield f"{at}mlp.gate_proj.weight", (sizes.inner, sizes.hidden)
    yield f"{at}mlp.up_proj.weight", (sizes.inner, sizes.hidden)
    yield f"{at}mlp.down_proj.weight", (sizes.hidden, sizes.inner)


def mixtral_experts(sizes: Sizes, at: str) -> Tensors:
    """Mixtral's router and experts."""
    yield f"{at}block_sparse_moe.gate.weight", (sizes.experts, sizes.hidden)
    for e in range(sizes.experts):
        yield f"{at}block_sparse_moe.experts.{e}.w1.weight", (sizes.inner, sizes.hidden)
        yield f"{at}block_sparse_moe.experts.{e}.w2.weight", (sizes.hidden, sizes.inner)
        yield f"{at}block_sparse_moe.experts.{e}.w3.weight", (sizes.inner, sizes.hidden)


def qkv_biases(sizes: Sizes, at: str) -> Tensors:
    """Qwen2's biases."""
    for name, heads in (("q", sizes.heads), ("k", sizes.kv_heads), ("v", sizes.kv_heads)):
        yield f"{at}self_attn.{name}_proj.bias", (heads * sizes.head_dim,)


def qk_norms(sizes: Sizes, at: str) -> Tensors:
    """Norms of query and key heads, of Qwen3 and Gemma3."""
    yield f"{at}self_attn.q_norm.weight", (sizes.head_dim,)
    yield f"{at}self_attn.k_norm.weight", (sizes.head_dim,)


def bert(sizes: Sizes) -> Tensors:
    """BertModel."""
    d = sizes.hidden
    for name, rows in (("word", sizes.vocab), ("position", sizes.context), ("token_type", 2)):
        yield f"embeddings.{name}_embeddings.weight", (rows, d)
    yield from _bert_norm("embeddings.LayerNorm", d)
    for i in range(sizes.layers):
        at = f"encoder.layer.{i}."
        for name, out, inner in (
            ("attention.self.query", d, d), ("attention.self.key", d, d), ("attention.self.value", d, d),
            ("attention.output.dense", d, d), ("intermediate.dense", sizes.inner, d), ("output.dense", d, sizes.inner),
        ):  # fmt: skip
            yield f"{at}{name}.weight", (out, inner)
            yield f"{at}{name}.bias", (out,)
        yield from _bert_norm(f"{at}attention.output.LayerNorm", d)
        yield from _bert_norm(f"{at}output.LayerNorm", d)
    yield "pooler.dense.weight", (d, d)
    yield "pooler.dense.bias", (d,)


def _bert_norm(name: str, d: int) -> Tensors:
    yield f"{name}.weight", (d,)
    yield f"{name}.bias", (d,)


_FOUR_NORMS = (
    "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
)  # fmt: skip
_GEMMA = {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 8}

FAMILIES = {
    "llama": Family("LlamaForCausalLM", "llama", decoder()),
    "mistral": Family("MistralForCausalLM", "mistral", decoder(), {"sliding_window": 7}),
    "qwen2": Family(
        "Qwen2ForCausalLM", "qwen2", decoder(qkv_biases),
        {"use_sliding_window": False, "sliding_window": None, "max_window_layers": 3},
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM", "qwen3", decoder(qk_norms),
        {"use_sliding_window": False, "sliding_window": None, "max_window_layers": 3},
    ),
    "gemma2": Family(
        "Gemma2ForCausalLM", "gemma2", decoder(norms=_FOUR_NORMS),
        {
            **_GEMMA, "sliding_window": 7, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "gemma3": Family(
        "Gemma3ForCausalLM", "gemma3_text", decoder(qk_norms, norms=_FOUR_NORMS),
        {
            **_GEMMA, "sliding_window": 7, "attn_logit_softcapping": None, "final_logit_softcapping": None,
            "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        },
    ),
    "mixtral": Family(
        "MixtralForCausalLM", "mixtral", decoder(mlp=mixtral_experts),
        {
            "num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": None, "router_aux_loss_coef": 0.02,
            "output_router_logits": False, "router_jitter_noise": 0.0,
        },
    ),
    "bert": Family(
        "BertModel", "bert", bert,
        {
            "hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2, "position_embedding_type": "absolute",
            "pad_token_id": 0, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        },
        encoder=True,
    ),
}  # fmt: skip

# Only decoders have these.
_DECODERS_ONLY = (
    "num_key_value_heads", "head_dim", "tie_word_embeddings", "rms_norm_eps", "rope_theta", "attention_bias",
    "attention_dropout", "mlp_bias", "bos_token_id", "eos_token_id",
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to make."""

    name: str
    family: str
    sizes: Sizes = Sizes()
    # Fields of config.json beside the family's.
    config: dict[str, Any] = field(default_factory=dict)
    # Of an encoder: the first position instead of the mean of all.
    first: bool = False


CHECKPOINTS = [
    Checkpoint("llama", "llama"),
    Checkpoint("llama_tied", "llama", Sizes(tied=True, context=200)),
    Checkpoint("llama_one_layer", "llama", Sizes(hidden=23, layers=1, heads=3, kv_heads=1, head_dim=8, inner=40)),
    Checkpoint(
        "llama_heads_that_do_not_divide", "llama", Sizes(hidden=65, heads=5, kv_heads=5, head_dim=14, inner=129)
    ),
    Checkpoint("llama_narrow", "llama", Sizes(hidden=2, layers=4, heads=1, kv_heads=1, head_dim=2, inner=1, vocab=2)),
    Checkpoint("llama_wide", "llama", Sizes(hidden=515, layers=2, heads=9, kv_heads=3, head_dim=66, inner=1031)),
    *(Checkpoint(family, family) for family in FAMILIES if family not in ("llama", "gemma2", "gemma3", "bert")),
    Checkpoint("gemma2", "gemma2", Sizes(tied=True)),
    Checkpoint("gemma3", "gemma3", Sizes(tied=True)),
    Checkpoint("bert", "bert", Sizes(hidden=56, heads=4)),
    Checkpoint(
        "bert_first", "bert", Sizes(hidden=54, layers=1, heads=3, inner=131, context=21),
        {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-5, "type_vocab_size": 2}, first=True,
    ),
    Checkpoint("bert_silu", "bert", Sizes(hidden=6, layers=5, heads=1, inner=3, vocab=5), {"hidden_act": "silu"}),
]  # fmt: skip


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Makes the checkpoint in a new folder, and `calibration.txt` beside it."""
    family, sizes = FAMILIES[checkpoint.family], checkpoint.sizes
    rng = np.random.default_rng(list(checkpoint.name.encode()))
    config = common_config(sizes) | family.config | checkpoint.config
    if family.encoder:
        config = {name: value for name, value in config.items() if name not in _DECODERS_ONLY}
    config |= {"architectures": [family.architecture], "model_type": family.model_type}

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes(tokenizer_json(sizes.vocab))
    write_safetensors(
        folder / "model.safetensors", {name: _values(name, shape, rng) for name, shape in family.tensors(sizes)}
    )
    words = [f"t{word}" for word in rng.integers(0, sizes.vocab, 4 * sizes.context)]
    text = " ".join(words)
    if family.encoder:
        # As sentence-transformers has it; an encoder reads paragraphs.
        pooling = {"pooling_mode_cls_token": checkpoint.first, "pooling_mode_mean_tokens": not checkpoint.first}
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(
            json.dumps({"word_embedding_dimension": sizes.hidden, **pooling})
        )
        text = "\n\n".join(" ".join(words[i : i + 9]) for i in range(0, len(words), 9))
    (folder / "calibration.txt").write_text(text)


def _values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if len(shape) == 1:
        centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        return rng.normal(centre, 0.1, shape)
    deviation = 1.0 if "embed" in name else shape[1] ** -0.5
    return rng.normal(0.0, deviation, shape)


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Length of the header (u64) ‖ header (JSON, padded to 8 bytes) ‖ the tensors, float32."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, values in tensors.items():
        added = values.astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(added)],
        }
        data += added
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
