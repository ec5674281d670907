from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lib_lora_train.models.text_states import encode, tokenize
from lib_lora_train.models.tokenizer import Tokenizer
from tests.models.tiny_checkpoint import TEXT_LAYERS


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    caption = ", ".join(f"tag{n} with words" for n in range(60))
    return tokenize(Tokenizer.load(), [caption, "a photo of a cat"], 225)


def layer_by_layer(text_encoder, ids: torch.Tensor, layers: int) -> torch.Tensor:
    """CLIP's text tower after ``layers`` layers, written out: pre-norm blocks, causal attention, quick GELU."""
    model = text_encoder.text_model
    x = model.embeddings.token_embedding.weight[ids] + model.embeddings.position_embedding.weight
    mask = torch.full((77, 77), float("-inf")).triu(1)
    for layer in model.encoder.layers[:layers]:
        h = layer.layer_norm1(x)
        projections = (getattr(layer.self_attn, f"{name}_proj") for name in "qkv")
        q, k, v = (project(h).unflatten(-1, (-1, 64)).transpose(1, 2) for project in projections)
        weights = (q @ k.transpose(-1, -2) / 8 + mask).softmax(-1)
        x = x + layer.self_attn.out_proj((weights @ v).transpose(1, 2).flatten(2))
        h = layer.mlp.fc1(layer.layer_norm2(x))
        x = x + layer.mlp.fc2(h * torch.sigmoid(1.702 * h))
    norm = model.final_layer_norm
    return functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias)


@pytest.mark.parametrize("clip_skip", [1, 2, 3])
@pytest.mark.parametrize("windows", [1, 2, 3])
def test_states_are_those_of_the_layer_asked_for_with_windows_joined(tiny_base, tokens, clip_skip, windows):
    ids = tokens[:, :windows]
    states = encode(tiny_base.text_encoder, ids, clip_skip)
    apart = [layer_by_layer(tiny_base.text_encoder, ids[:, n], TEXT_LAYERS + 1 - clip_skip) for n in range(windows)]
    expected = torch.cat([apart[0][:, :1], *[window[:, 1:76] for window in apart], apart[-1][:, 76:]], dim=1)
    assert states.shape == (2, 75 * windows + 2, 128)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("clip_skip", [0, TEXT_LAYERS + 1])
def test_a_layer_that_is_not_there_is_refused(tiny_base, tokens, clip_skip):
    with pytest.raises(ValueError, match=f"clip_skip is {clip_skip}"):
        encode(tiny_base.text_encoder, tokens, clip_skip)
