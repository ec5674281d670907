"""Comparing checkpoints: a planted ancestry is found again, whatever the family, precision and kind of file."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_lora_train.__main__ import main
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.runs.summary import RunIndex
from tests.figures import count
from tests.models.tiny_checkpoint import VAE, few_words, make_micro
from tests.models.tiny_families import NARROW_XL, SSD_SHAPE, sd2_state, sdxl_state

WHOLE = {"SD 1.x": lambda seed: make_micro(seed).state, "SDXL": lambda seed: sdxl_state(seed, NARROW_XL),
         "SD 2.x": sd2_state, "SSD-1B": lambda seed: sdxl_state(seed, SSD_SHAPE)}


@functools.cache
def made(family, seed):
    """A checkpoint without what is not compared: the VAE, and all but a few of the words, which are half of it."""
    return {key: value for key, value in few_words(WHOLE[family](seed)).items() if not key.startswith(VAE)}


def tuned(state, share, seed):
    """``state`` with random changes of ``share`` of each weight's size."""
    generator = torch.Generator().manual_seed(seed)
    return {key: value + share * value.std() * torch.randn(value.shape, generator=generator)
            if value.is_floating_point() and value.ndim > 1 else value for key, value in state.items()}


def mixed(one, other, share):
    return {key: share * one[key] + (1 - share) * other[key] if one[key].is_floating_point() else one[key]
            for key in one}


def save(state, path: Path, metadata=None, dtype=None) -> Path:
    save_file({key: (value.to(dtype) if dtype and value.is_floating_point() else value).contiguous()
               for key, value in state.items()}, path, metadata)
    return path


def compare(folder: Path, *words: str):
    runs = folder.with_name(f"{folder.name}-runs")
    assert main(["bases", str(folder), *words, "--runs", str(runs)]) == 0
    run = RunFolder(max(runs.iterdir()))
    result = json.loads(run.result_file.read_text())
    bases = {Path(base["name"]).stem: base | {"number": number} for number, base in enumerate(result["bases"])}
    return bases, result, run


def leaves(node):
    return [node["leaf"]] if "leaf" in node else [leaf for child in node["children"] for leaf in leaves(child)]


def clades(node):
    return [] if "leaf" in node else [frozenset(leaves(node)), *(one for child in node["children"]
                                                                  for one in clades(child))]


@pytest.mark.parametrize("family", list(WHOLE)[:count(2, 4)])
def test_a_planted_ancestry_is_found(family, tmp_path, capsys):
    folder = tmp_path / "models"
    folder.mkdir()
    parent, stranger = made(family, 1), made(family, 2)
    child, far = tuned(parent, 0.05, 3), tuned(parent, 0.4, 4)
    for name, state, dtype in (("parent", parent, None), ("child", child, torch.float16), ("far", far, torch.float16),
                               ("stranger", stranger, None), ("merge", mixed(child, far, 0.7), torch.float16),
                               ("copy", parent, torch.bfloat16)):
        save(state, folder / f"{name}.safetensors", dtype=dtype)
    bases, result, run = compare(folder)
    number = {name: base["number"] for name, base in bases.items()}
    distance = {(one, other): result["distances"][number[one]][number[other]] for one in number for other in number}
    assert {base["family"] for base in bases.values()} == {family}
    assert distance["parent", "copy"] == 0 and distance["parent", "child"] == pytest.approx(0.05, rel=0.1)
    assert distance["parent", "far"] == pytest.approx(0.4 / (1 + 0.4 ** 2 / 2) ** 0.5, rel=0.1)
    assert distance["parent", "stranger"] > 1.2
    found = clades(result["trees"][0])
    relatives = {"parent", "copy", "child", "merge", "far"}
    assert frozenset(number[name] for name in relatives) in found
    assert frozenset(number[name] for name in ("parent", "copy")) in found
    assert frozenset(number[name] for name in ("parent", "copy", "child")) in found
    mixture = bases["merge"]["mixture"]
    assert [number["child"], number["far"]] == [mixture["first"], mixture["second"]]
    assert mixture["share"] == pytest.approx(0.7, abs=0.02)
    assert all(bases[name]["mixture"] is None for name in ("parent", "child", "far", "stranger"))
    assert RunIndex(run.path.parent).of(run).state == "finished"
    assert "merge.safetensors" in capsys.readouterr().out


def test_files_of_different_families_stand_apart(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name, state in (("one", made("SD 1.x", 1)), ("xl", made("SDXL", 1)), ("ssd", made("SSD-1B", 1))):
        save(state, folder / f"{name}.safetensors")
    _, result, _ = compare(folder)
    assert len(result["trees"]) == 3
    assert all(result["distances"][one][other] is None for one in range(3) for other in range(3) if one != other)


def test_what_cannot_be_compared_is_named_and_the_others_are_compared(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    state = made("SD 1.x", 1)
    good = save(state, folder / "good.safetensors")
    torch.save({"state_dict": tuned(state, 0.05, 2)}, folder / "pickled.ckpt")
    (folder / "half.safetensors").write_bytes(good.read_bytes()[:good.stat().st_size // 2])
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "page.ckpt").write_text("<html>log in</html>")
    key = next(key for key in state if key.endswith("attn2.to_k.weight"))
    save({name: torch.full_like(value, torch.nan) if name.endswith("attn2.to_k.weight") else value
          for name, value in state.items()}, folder / "nan.safetensors")
    save({**state, key: torch.zeros(state[key].numel() // 2, 1, dtype=torch.uint8)}, folder / "nf4.safetensors")
    save({"lora_unet_x.lora_down.weight": torch.zeros(2, 2)}, folder / "lora.safetensors")
    bases, result, run = compare(folder)
    said = {name: " ".join(base["problems"]) for name, base in bases.items()}
    assert said["good"] == said["pickled"] == ""
    assert "damaged or truncated" in said["half"] and "0 bytes" in said["empty"] and "web page" in said["page"]
    assert "NaN" in said["nan"] and "quantized" in said["nf4"] and "is a LoRA" in said["lora"]
    distance = result["distances"][bases["good"]["number"]][bases["pickled"]["number"]]
    assert distance == pytest.approx(0.05, rel=0.1)
    warnings = [event["text"] for event in read_events(run.events_file)[0] if event["event"] == "warning"]
    assert len(warnings) == 6


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="this torch has no fp8")
def test_a_copy_in_fp8_is_the_same_model(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    state = made("SD 1.x", 1)
    save(state, folder / "full.safetensors", dtype=torch.float16)
    save(state, folder / "eight.safetensors", dtype=torch.float8_e4m3fn)
    save(tuned(state, 0.3, 2), folder / "tuned.safetensors", dtype=torch.float16)
    bases, result, _ = compare(folder)
    number = {name: base["number"] for name, base in bases.items()}
    assert result["distances"][number["full"]][number["eight"]] == pytest.approx(0, abs=0.01)
    assert result["distances"][number["tuned"]][number["eight"]] > 0.2
    assert "fp8" in bases["eight"]["notes"][0]


def test_what_was_read_is_kept_until_the_file_changes(tmp_path, monkeypatch):
    from lib_lora_train.tools.bases import sample

    folder = tmp_path / "models"
    folder.mkdir()
    state = made("SD 1.x", 1)
    one, two = save(state, folder / "one.safetensors"), save(tuned(state, 0.1, 2), folder / "two.safetensors")
    taken = []
    take = sample._take
    monkeypatch.setattr(sample, "_take", lambda source: taken.append(source.path) or take(source))
    cache = f"cache={tmp_path / 'kept'}"
    first = compare(folder, cache)[1]["distances"]
    assert compare(folder, cache)[1]["distances"] == first and taken == [one, two]
    save(tuned(state, 0.2, 3), two)
    assert compare(folder, cache)[1]["distances"] != first and taken == [one, two, two]
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(b"damaged")
    compare(folder, cache)
    assert taken == [one, two, two, one, two]


def test_a_nameless_model_takes_the_name_of_its_nearest_relative(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    pony, illustrious = made("SDXL", 1), tuned(made("SDXL", 1), 0.6, 9)
    save(pony, folder / "ponyDiffusionV6XL.safetensors")
    save(illustrious, folder / "Illustrious-XL-v0.1.safetensors")
    save(tuned(pony, 0.1, 2), folder / "mine.safetensors")
    save(made("SDXL", 7), folder / "unrelated.safetensors")
    bases, _, _ = compare(folder)
    assert (bases["mine"]["base"], bases["mine"]["styles"]) == ("Pony", ["booru", "e621", "prose"])
    assert "ponyDiffusionV6XL" in bases["mine"]["base_from"]
    assert bases["Illustrious-XL-v0.1"]["styles"] == ["booru"]
    assert (bases["unrelated"]["base"], bases["unrelated"]["styles"]) == ("", [])


def test_a_merge_says_its_parents(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    state = made("SD 1.x", 1)
    save(state, folder / "base.safetensors")
    recipe = {"type": "webui", "primary_model_hash": "ab" * 32, "interp_method": "Weighted sum", "multiplier": 0.3}
    models = {"ab" * 32: {"name": "base.safetensors", "legacy_hash": "0" * 8},
              "cd" * 32: {"name": "gone.safetensors [1234567890]", "legacy_hash": "1" * 8}}
    save(tuned(state, 0.1, 2), folder / "merged.safetensors", {
        "sd_merge_recipe": json.dumps(recipe), "sd_merge_models": json.dumps(models)})
    save(tuned(state, 0.1, 3), folder / "spec.safetensors", {"modelspec.merged_from": "base, other"})
    save(tuned(state, 0.1, 4), folder / "odd.safetensors", {"sd_merge_recipe": "[1", "sd_merge_models": '{"x": 3}'})
    bases, _, _ = compare(folder)
    base = bases["base"]["number"]
    assert bases["merged"]["parents"] == [{"name": "base.safetensors", "there": base},
                                          {"name": "gone.safetensors [1234567890]", "there": None}]
    assert bases["merged"]["recipe"] == "Weighted sum, multiplier 0.3"
    assert bases["spec"]["parents"] == [{"name": "base", "there": base}, {"name": "other", "there": None}]
    assert bases["odd"]["parents"] == []


def test_nothing_to_compare_is_an_error_with_a_sentence(tmp_path, capsys):
    (tmp_path / "models").mkdir()
    assert main(["bases", str(tmp_path / "models"), "--runs", str(tmp_path / "runs")]) == 1
    assert "there are 0 checkpoints" in capsys.readouterr().err


def test_a_stop_is_obeyed(tmp_path, monkeypatch):
    from lib_lora_train.cli import bases as command

    folder = tmp_path / "models"
    folder.mkdir()
    for seed in (1, 2):
        save(made("SD 1.x", seed), folder / f"{seed}.safetensors")
    read = command._read

    def stop_after_one(*arguments):
        (run,) = (tmp_path / "runs").iterdir()
        RunFolder(run).control.request("stop")
        return read(*arguments)

    monkeypatch.setattr(command, "_read", stop_after_one)
    assert main(["bases", str(folder), "--runs", str(tmp_path / "runs")]) == 130
    (run,) = (tmp_path / "runs").iterdir()
    assert RunIndex(run.parent).of(RunFolder(run)).state == "stopped" and not RunFolder(run).result_file.exists()


def summed(*parts):
    first = parts[0][1]
    return {key: sum(weight * state[key] for weight, state in parts) if first[key].is_floating_point() else first[key]
            for key in first}


@pytest.mark.parametrize("family", ["SD 1.x", "SDXL"])
def test_merges_of_three_and_add_difference_have_no_single_parent(family, tmp_path):
    folder = tmp_path / "models"
    (folder / "more").mkdir(parents=True)
    root = made(family, 1)
    one, two, three = (tuned(root, 0.15, seed) for seed in (2, 3, 4))
    for name, state in (("one", one), ("two", two), ("three", three), ("root", root),
                        ("third", summed((0.4, one), (0.3, two), (0.3, three))),
                        ("half", summed((1.0, two), (0.5, one), (-0.5, three)))):
        save(state, folder / ("more" if name == "three" else "") / f"{name}.safetensors", dtype=torch.float16)
    bases, _, _ = compare(folder)
    [said] = bases["third"]["notes"]
    assert all(part in said for part in ("40% one.safetensors", "30% two.safetensors", "30% three.safetensors"))
    [said] = bases["half"]["notes"]
    assert "two.safetensors + 0.5 × (one.safetensors − three.safetensors)" in said and "no single parent fits" in said
    assert not any("By its weights" in text for text in bases["root"]["notes"])


def test_an_add_difference_whose_parents_are_not_all_there_is_given_no_parent(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    root = made("SD 2.x", 1)
    one, two = tuned(root, 0.15, 2), tuned(root, 0.15, 3)
    for name, state in (("ひとつ", one), ("two", two), ("added", summed((1.0, one), (1.0, two), (-1.0, root)))):
        save(state, folder / f"{name}.safetensors", dtype=torch.float16)
    bases, _, _ = compare(folder)
    [said] = bases["added"]["notes"]
    assert said.startswith("No single parent fits: it is about as far from") and "ひとつ.safetensors (0.15)" in said
    assert bases["added"]["mixture"] is None
