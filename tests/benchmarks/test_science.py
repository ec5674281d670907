"""The prototypes of ``benchmarks.science`` are what they are called, and its table does not overstate."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import Parameter

from benchmarks.science.__main__ import table_of
from benchmarks.science.techniques import (
    MovingAverages,
    OftModule,
    RanksByTimestep,
    beta,
    logit_normal,
)
from benchmarks.science.ways import (
    ADAMW,
    AVERAGING,
    MOST_TRIES,
    PLUS,
    PRODIGY,
    RATE_SEED,
    SEEDS,
    WAYS,
    Choice,
    Result,
    next_run,
)
from lib_lora_train.networks.lora import LoraModule
from lib_lora_train.networks.network import Network


@pytest.mark.parametrize("shares, mean, spread", [
    (beta(1, 2), 1 / 3, (1 / 18) ** 0.5), (beta(2, 2), 1 / 2, (1 / 20) ** 0.5), (beta(2, 1), 2 / 3, (1 / 18) ** 0.5),
    (logit_normal(0, 1), 1 / 2, 0.208)])
def test_shares_have_the_moments_of_their_distribution(shares, mean, spread):
    drawn = shares(20_000, torch.Generator().manual_seed(1))
    assert drawn.shape == (20_000,) and drawn.min() >= 0 and drawn.max() <= 1
    assert float(drawn.mean()) == pytest.approx(mean, abs=0.01)
    assert float(drawn.std()) == pytest.approx(spread, abs=0.01)


def test_an_average_is_the_plain_mean_until_its_window_is_full_and_then_exponential():
    parameter = Parameter(torch.zeros(1))
    averages = MovingAverages([parameter], (3.0,))
    for value, expected in ((1.0, 1.0), (2.0, 1.5), (6.0, 3.0), (9.0, 5.0)):
        with torch.no_grad():
            parameter.fill_(value)
        averages.take()
        with averages.used(3.0):
            assert parameter.item() == pytest.approx(expected)
        assert parameter.item() == value


@pytest.mark.parametrize("timestep, kept", [(0, 4), (500, 3), (999, 3), (1000, 2)])
def test_ranks_follow_the_timestep(timestep, kept):
    unet = nn.Linear(3, 5)
    module = LoraModule(unet, 4, 4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        module.factors[1].normal_(generator=torch.Generator().manual_seed(2))
    by_timestep = RanksByTimestep(unet, Network({"lora_unet_x": module}, {}))
    by_timestep._keep(unet, (None, torch.tensor([timestep])))
    x = torch.ones(1, 3)
    down, up = module.factors
    assert torch.allclose(module.addition(x, 1.0), x @ (up[:, :kept] @ down[:kept]).T, atol=1e-6)
    by_timestep.on = False
    assert torch.allclose(module.addition(x, 1.0), x @ (up @ down).T, atol=1e-6)


def test_oft_begins_as_the_base_and_only_turns_rows():
    layer = nn.Linear(6, 16, bias=False)
    module = OftModule(layer)
    assert torch.allclose(module.low_rank_change(), torch.zeros(16, 6), atol=1e-7)
    with torch.no_grad():
        module.oft_blocks.normal_(generator=torch.Generator().manual_seed(3))
    changed = layer.weight.detach() + module.low_rank_change().detach()
    assert not torch.allclose(changed, layer.weight, atol=0.1)
    for block in range(2):
        rows = slice(8 * block, 8 * block + 8)
        assert torch.allclose(changed[rows].norm(), layer.weight[rows].detach().norm(), rtol=1e-4)


def _runs(way: str, losses: list[float], baseline: str = ADAMW) -> list[Result]:
    return [Result("hearts", way, baseline, seed, 1e-3, loss, 0.1, 0.1, 8, 1)
            for seed, loss in zip(SEEDS, losses, strict=False)]


@pytest.mark.parametrize("change, shown", [([-0.01, -0.012, -0.01, -0.012, -0.01], "-1.08 ± 0.05 *"),
                                           ([0.01, 0.012, 0.01, 0.012, 0.01], "+1.08 ± 0.05 *"),
                                           ([-0.01, 0.01, 0.0, -0.01, 0.011], "+0.02 ± 0.46 ="),
                                           ([-0.05, 0.05, 0.0, -0.05, 0.06], "+0.20 ± 2.35 |")])
def test_a_star_needs_more_than_two_standard_errors_and_as_good_needs_a_small_one(change, shown):
    base = [0.5, 0.6, 0.7, 0.8, 0.9]
    table = table_of([*_runs(ADAMW, base), *_runs("other", [a + b for a, b in zip(base, change, strict=True)])])
    assert shown in table.splitlines()[-1]


def test_a_way_without_all_seeds_is_not_in_the_table():
    assert "other" not in table_of([*_runs(ADAMW, [0.5] * 5), *_runs("other", [0.4] * 4)])


def test_nothing_wins_against_a_baseline_that_did_not_learn():
    table = table_of([*_runs(ADAMW, [0.99, 0.995, 1.0, 0.99, 0.98]), *_runs("other", [0.5] * 5)])
    assert "void: the baseline did not learn" in table.splitlines()[-1] and "*" not in table


def _trained(name: str, losses) -> list[tuple[Choice, int]]:
    """The runs of ``name`` if settings have ``losses``, a function of them."""
    results, runs = [], []
    while (run := next_run(results, "hearts", name)) is not None:
        runs.append(run)
        (rate, options), seed = run
        results.append(Result("hearts", name, ADAMW, seed, rate, losses(*run[0]), 0.1, 0.1, 8, 1, options))
        results.append(Result("fish", name, ADAMW, seed, 1.0, 0.0, 0.1, 0.1, 8, 1))
    return runs


@pytest.mark.parametrize("best", [2.5e-4, 1e-3, 8e-3])
def test_the_chosen_rate_has_worse_ones_on_both_sides(best):
    runs = _trained(ADAMW, lambda rate, _: abs(rate - best))
    tried = [choice.rate for choice, seed in runs if seed == RATE_SEED]
    assert {best / 2, best, best * 2} <= set(tried) and len(tried) == len(set(tried))
    assert runs[len(tried):] == [(Choice(best), seed) for seed in SEEDS]


def test_both_prodigies_try_the_same_number_of_settings_to_begin_with_and_keep_the_arguments_of_the_best():
    assert len(WAYS[PRODIGY].choices()) == len(WAYS[PLUS].choices())
    other = WAYS[PRODIGY].options[1]
    runs = _trained(PRODIGY, lambda rate, options: abs(rate - 4) + 10 * (options != other))
    assert [run for run in runs if run[1] in SEEDS] == [(Choice(4.0, other), seed) for seed in SEEDS]


def test_a_rate_that_only_gets_better_ends_the_search():
    assert len([seed for _, seed in _trained(ADAMW, lambda rate, _: -rate) if seed == RATE_SEED]) == MOST_TRIES


def test_a_way_without_rates_of_its_own_takes_over_the_chosen_one():
    with pytest.raises(ValueError, match="not measured yet"):
        next_run([], "hearts", "T-LoRA")
    tried = [Result("hearts", ADAMW, ADAMW, RATE_SEED, rate, loss, 0.1, 0.1, 8, 1)
             for rate, loss in ((1e-3, 0.9), (2e-3, 0.8), (4e-3, 0.85))]
    assert next_run(tried, "hearts", "T-LoRA") == (Choice(2e-3), SEEDS[0])


def test_an_average_is_compared_with_an_optimizer_that_averages_too():
    name = "AdamW, constant + EMA over 10%"
    table = table_of([*_runs(ADAMW, [0.5] * 5), *_runs(AVERAGING, [0.4] * 5), *_runs("AdamW, constant", [0.5] * 5),
                      *_runs(name, [0.45] * 5, "AdamW, constant")])
    compared = [line.split(" | ")[5] for line in table.splitlines() if line.startswith(f"| {name}")]
    assert compared == ["AdamW, constant", ADAMW, AVERAGING]
