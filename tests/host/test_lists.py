"""The webui's lists are updated while it generates: nothing that is there is ever missing from them."""

from __future__ import annotations

import importlib.util
import json
import random
import types
from pathlib import Path

import pytest
from modules import sd_models, shared

from lib_lora_train.host.lists import update_checkpoints, update_loras
from tests.host.sources import STANDIN


class Watched(dict):
    """A list of the webui in which ``kept`` have to be found at any moment, as an image looks for them."""

    kept: frozenset[str] = frozenset()

    def clear(self):
        raise AssertionError("emptied")

    def pop(self, key, *default):
        assert key not in self.kept
        return super().pop(key, *default)

    __delitem__ = pop


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "Lora"
    place.mkdir()
    monkeypatch.setattr(shared.cmd_opts, "lora_dir", str(place))
    return place


@pytest.fixture
def networks(folder):
    return lora_extension()


def lora_extension():
    """The Lora extension's module, with lists of its own."""
    spec = importlib.util.spec_from_file_location("networks_of_test", STANDIN / "networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.list_available_networks()  # as it does when it is imported
    return module


def save(folder, name, output_name=None):
    """A LoRA file with this name, and this one in its metadata."""
    header = json.dumps({"__metadata__": {"ss_output_name": output_name} if output_name else {}}).encode()
    (folder / f"{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def found(networks, name):
    """The file that the webui takes for ``<lora:name:1>``."""
    known = networks.available_networks if name.lower() in networks.forbidden_network_aliases else (
        networks.available_network_aliases)
    return Path(known[name].filename).stem if name in known else None


def test_new_and_deleted_files_and_their_names(networks, folder):
    save(folder, "penny-000001", "penny")
    update_loras(networks, folder)
    (folder / "sub").mkdir()
    save(folder / "sub", "alice")
    save(folder, "penny-000002", "penny")
    update_loras(networks, folder)
    assert sorted(networks.available_networks) == ["alice", "penny-000001", "penny-000002"]
    assert found(networks, "penny") is None  # two have that name
    (folder / "penny-000001.safetensors").unlink()
    update_loras(networks, folder)
    assert [found(networks, name) for name in ("alice", "penny-000001", "penny-000002", "penny")] == [
        "alice", None, "penny-000002", "penny-000002"]


def test_a_file_whose_metadata_has_changed_is_read_again(networks, folder):
    save(folder, "mine", "old")
    save(folder, "other")
    update_loras(networks, folder)
    kept = networks.available_networks["other"]
    save(folder, "mine", "new")
    update_loras(networks, folder, changed=folder / "mine.safetensors")
    assert [found(networks, name) for name in ("mine", "old", "new")] == ["mine", None, "mine"]
    assert networks.available_networks["other"] is kept


def test_what_is_there_is_never_missing(networks, folder):
    for name in "ab":
        save(folder, name, f"of {name}")
    update_loras(networks, folder)
    for each in ("available_networks", "available_network_aliases"):
        watched = Watched(getattr(networks, each))
        watched.kept = frozenset(watched)
        setattr(networks, each, watched)
    for number in range(5):
        save(folder, f"new {number}", f"of {number}")
        update_loras(networks, folder)
        (folder / f"new {number}.safetensors").unlink()
        update_loras(networks, folder)
    assert [found(networks, name) for name in ("a", "of a", "b", "of b")] == ["a", "a", "b", "b"]


def test_every_name_leads_where_it_does_after_reading_everything_anew(networks, folder):
    names, dice = ["penny", "alice", "penny-000001", "Addams", "none", "x"], random.Random(1)
    for _ in range(400):
        name = dice.choice(names)
        file = folder / f"{name}.safetensors"
        there = file.exists()
        if there and dice.random() < 0.4:
            file.unlink()
        else:
            save(folder, name, dice.choice([None, *names]))
        update_loras(networks, folder, changed=file if there else None)
        anew = lora_extension()
        assert [found(networks, one) for one in names] == [found(anew, one) for one in names]


def test_a_file_that_an_image_has_added_meanwhile_keeps_its_name(networks, folder, monkeypatch):
    """``load_networks`` adds what it does not find; added twice, a file would seem to share its name with another."""
    add = networks.update_available_networks_by_names
    monkeypatch.setattr(networks, "update_available_networks_by_names", lambda names: (add(names), add(names)))
    save(folder, "mine", "penny")
    update_loras(networks, folder)
    assert found(networks, "penny") == "mine"


def test_a_webui_before_1_10_reads_all_of_them(folder):
    read = []
    update_loras(types.SimpleNamespace(list_available_networks=lambda: read.append(1)), folder)
    update_checkpoints(types.SimpleNamespace(list_models=lambda: read.append(2)), [])
    update_loras(None, folder)
    update_checkpoints(None, [])
    assert read == [1, 2]


def test_checkpoints_come_and_go_and_the_others_stay(webui, tmp_path, monkeypatch):
    models = webui.models_dir / "Stable-diffusion"
    elsewhere = tmp_path / "elsewhere"
    for place in (models / "sub", elsewhere):
        place.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(shared.cmd_opts, "ckpt_dir", str(models / ".." / ".." / elsewhere.name), raising=False)
    for each in ("checkpoints_list", "checkpoint_aliases"):
        monkeypatch.setattr(sd_models, each, Watched(getattr(sd_models, each)))
    for info in list(sd_models.checkpoints_list.values()):
        Path(info.filename).touch()
    before = list(sd_models.checkpoints_list)
    for each in (sd_models.checkpoints_list, sd_models.checkpoint_aliases):
        each.kept = frozenset(each)
    files = [models / "sub" / "new.safetensors", elsewhere / "far.ckpt"]
    for file in (*files, models / "new.vae.safetensors", models / "notes.txt"):
        file.touch()
    chosen = shared.opts.sd_model_checkpoint
    for _ in range(2):  # once more: nothing is listed twice
        webui.refresh_checkpoints()
        assert [info.title for info in sd_models.checkpoints_list.values()] == [*before, "far.ckpt", "new.safetensors"]
    assert shared.opts.sd_model_checkpoint == chosen
    files[0].unlink()
    merged = Path(next(iter(sd_models.checkpoints_list.values())).filename).with_name("merged.safetensors")
    merged.touch()
    merged.with_name("another.safetensors").touch()
    webui.refresh_checkpoints([merged, tmp_path / "gone.safetensors"])
    webui.refresh_checkpoints()
    assert list(sd_models.checkpoints_list) == [*before, "far.ckpt", "merged.safetensors"]
    assert "new" not in sd_models.checkpoint_aliases


def test_an_alias_of_a_deleted_checkpoint_leads_to_the_other_that_has_it(tmp_path):
    known = types.SimpleNamespace(CheckpointInfo=None, checkpoints_list={}, checkpoint_aliases={})
    infos = [types.SimpleNamespace(filename=str(tmp_path / name), ids=[name, "same hash"]) for name in ("a", "b")]
    for info in infos:
        Path(info.filename).touch()
        known.checkpoints_list[info.ids[0]] = info
        known.checkpoint_aliases |= dict.fromkeys(info.ids, info)
    Path(infos[1].filename).unlink()
    update_checkpoints(known, [])
    assert known.checkpoint_aliases == {"a": infos[0], "same hash": infos[0]}
