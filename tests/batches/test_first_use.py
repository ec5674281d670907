"""A picture that is encoded when it is first trained on has the latent that it has when all are encoded at once."""

from __future__ import annotations

import random

import pytest
import torch

from lib_lora_train.batches.first_use_latents import FirstUseLatents
from lib_lora_train.batches.latents import Wanted, encode_all
from lib_lora_train.errors import DatasetError

from .test_latents import PoolingVae, encoder, make_set, plan_for


@pytest.mark.parametrize("flipped", [False, True])
def test_latents_are_those_of_encoding_all_at_once_in_any_order(tmp_path, flipped):
    plan, wanted = plan_for(make_set(tmp_path / "set")), Wanted(flipped=flipped)
    at_once = encode_all(plan, encoder(PoolingVae(std=0.5)), wanted=wanted)
    batches = plan.batches_in_order()
    for order in (batches, batches[::-1]):
        one_by_one = FirstUseLatents(plan, encoder(PoolingVae(std=0.5)), wanted)
        for indices in order:
            ours, theirs = (store.latents_of(indices, random.Random(3)) for store in (one_by_one, at_once))
            assert torch.equal(ours.latents, theirs.latents) and ours.masks is None


def test_each_picture_is_encoded_once_and_only_when_it_is_looked_at(tmp_path):
    plan, vae = plan_for(make_set(tmp_path / "set")), PoolingVae()
    latents = FirstUseLatents(plan, encoder(vae))
    assert (len(latents), vae.seen) == (0, [])
    indices = next(iter(plan.by_bucket.values()))
    latents.latents_of([indices[0], indices[0]], None)
    assert (len(latents), len(vae.seen)) == (1, 1)
    latents.latents_of(indices, None)
    latents.latents_of(indices, None)
    assert (len(latents), len(vae.seen)) == (len(indices), len(indices))


def test_the_end_of_encoding_is_told_once(tmp_path):
    plan, told = plan_for(make_set(tmp_path / "set")), []
    latents = FirstUseLatents(plan, encoder(PoolingVae()), when_complete=lambda: told.append(len(latents)))
    for indices in plan.batches_in_order() * 2:
        latents.latents_of(indices, None)
    assert told == [len(plan.pictures)]


def test_a_picture_that_is_gone_by_then_is_named(tmp_path):
    plan = plan_for(make_set(tmp_path / "set"))
    latents = FirstUseLatents(plan, encoder(PoolingVae()))
    plan.pictures[0].path.unlink()
    with pytest.raises(DatasetError, match=plan.pictures[0].path.name):
        latents.latents_of([0], None)
