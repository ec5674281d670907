"""A curve's singular vectors serve the extraction that follows, as long as they are of the same files."""

from __future__ import annotations

import dataclasses
import errno
import json

import pytest
import safetensors.torch
import torch

from lib_lora_train.tools import extract as module
from lib_lora_train.tools import factors
from lib_lora_train.tools.extract import extract
from lib_lora_train.tools.svd import decompose, from_vectors
from lib_lora_train.tools.work import Stopped
from tests.crashes import failing
from tests.models.tiny_checkpoint import VAE
from tests.tools.stand_ins import Reports, randoms
from tests.tools.test_extract import UNET, job_for, moved, saved


@pytest.fixture
def files(tmp_path, tiny):
    state = {key: tensor for key, tensor in tiny.state.items() if not key.startswith(VAE)}
    names = [name for name in state if name.startswith(UNET) and ("attn1.to_q" in name or "ff.net.2.weight" in name)]
    tuned, _ = moved(state, names[::4], rank=12)
    saved(state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    return tmp_path


def run(files, name, reported=None, **settings):
    """What was reported, and the tensors of the LoRA made in the run ``name``."""
    reported = reported or Reports()
    folder = files / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    job = job_for(files, output_name=name, conv_dim=None, **settings)
    path = extract(job, dataclasses.replace(reported.work, folder=folder))
    return reported, None if path is None else safetensors.torch.load_file(path)


def same(one, other):
    assert one.keys() == other.keys()
    for layer in {key.partition(".")[0] for key in one}:
        first, second = (made[f"{layer}.lora_up.weight"].flatten(1) @ made[f"{layer}.lora_down.weight"].flatten(1)
                         for made in (one, other))
        assert (first - second).norm() <= 1e-5 * first.norm(), layer


@pytest.mark.parametrize("settings", [{"network_dim": 4}, {"network_dim": 30}, {"network_dim": None, "sv_fro": 0.9},
                                      {"network_dim": 4, "exact": False}])
def test_saving_uses_what_the_curve_has_calculated(files, monkeypatch, settings):
    run(files, "curve", only_curve=True)
    calls = []
    monkeypatch.setattr(module, "decompose", lambda *given: calls.append(1) or decompose(*given))
    monkeypatch.setattr(module, "decompose_partly", lambda *given: pytest.fail("nothing is left to calculate"))
    (files / "runs" / "curve").rename(files / "away")
    _, fresh = run(files, "fresh", **{**settings, "exact": True})
    calls.clear()
    (files / "away").rename(files / "runs" / "curve")
    reported, made = run(files, "reused", **settings)
    assert calls == [] and any("the run curve has calculated" in text for text in reported.said)
    same(made, fresh)
    assert reported.results[0]["error"] == pytest.approx(_error(files, settings), abs=1e-4)


def _error(files, settings):
    (files / "runs" / "curve").rename(files / "gone")
    reported, _ = run(files, "again", **{**settings, "exact": True})
    return reported.results[0]["error"]


def test_other_files_and_damage_are_calculated_anew(files, monkeypatch):
    run(files, "curve", only_curve=True)
    data, index = files / "runs" / "curve" / "factors.bin", files / "runs" / "curve" / "factors.json"
    whole, described = data.read_bytes(), index.read_text()
    calls = []
    monkeypatch.setattr(module, "decompose", lambda *given: calls.append(1) or decompose(*given))
    _, wanted = run(files, "first", output_dir=str(files / "one"))
    assert calls == []
    damages = {"other vectors": (bytes(len(whole) // 2) + whole[len(whole) // 2:], described),
               "cut short": (whole[:100], described), "NaN": (b"\xff" * len(whole), described),
               "no index": (whole, "{"), "wrong shapes": (whole, described.replace('"shape": [', '"shape": [1')),
               "no layers": (whole, json.dumps({"key": json.loads(described)["key"], "layers": {}}))}
    for name, (content, text) in damages.items():
        data.write_bytes(content), index.write_text(text)
        calls.clear()
        _, made = run(files, name, output_dir=str(files / name))
        assert calls, name
        same(made, wanted)
    data.write_bytes(whole), index.write_text(described)
    state = safetensors.torch.load_file(files / "tuned.safetensors")
    saved(moved(state, [next(name for name in state if "attn1.to_q" in name)], rank=2)[0], files / "tuned.safetensors")
    reported, _ = run(files, "other", output_dir=str(files / "other"))
    assert calls and not any("used again" in text for text in reported.said)


def test_one_run_keeps_them_within_a_bound(files, monkeypatch):
    run(files, "first", only_curve=True)
    assert not [*(files / "runs" / "first").glob("*.tmp")]
    monkeypatch.setattr(factors, "MOST_BYTES", 4000)
    state = safetensors.torch.load_file(files / "tuned.safetensors")
    state[next(iter(state))] += 1
    saved(state, files / "tuned.safetensors")
    run(files, "second", only_curve=True)
    kept = [path.parent.name for path in (files / "runs").glob("*/factors.bin")]
    assert kept == ["second"] and (files / "runs" / "second" / "factors.bin").stat().st_size <= 4000


def test_a_curve_that_is_stopped_keeps_nothing(files):
    with pytest.raises(Stopped):
        run(files, "curve", Reports(stop_after=3), only_curve=True)
    assert [*(files / "runs" / "curve").iterdir()] == []


def test_a_disk_that_refuses_costs_no_curve(files):
    for at in range(1, 12):
        name = f"curve{at}"
        (files / "runs" / name).mkdir(parents=True)
        with failing(at, 1, errno.ENOSPC):
            reported, _ = run(files, name, only_curve=True)
        assert reported.results[0]["curve"]


def test_vectors_of_the_shorter_side_are_enough():
    for shape in ((24, 40), (40, 24), (24, 24)):
        change = randoms(1, {"x": shape})["x"]
        whole = decompose(change)
        part = from_vectors(change, whole.shorter[:, :7], whole.values)
        up, down = part.factors(7)
        left, _, right = torch.linalg.svd(change, full_matrices=False)
        best = left[:, :7] @ torch.diag(whole.values[:7]) @ right[:7]
        assert (up @ down - best).norm() <= 1e-5 * change.norm()
        assert part.tail(7) == pytest.approx(float((change - up @ down).square().sum()), rel=1e-4)
