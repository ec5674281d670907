"""The family of the chosen checkpoint: what the form is told of it, and the defaults that a run gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.standin.checkpoint_file import SD1, SD2, SDXL, write_header


@pytest.fixture
def made(make_tab, tmp_path):
    """A tab whose webui has a checkpoint with the tensors of a family."""
    def make(shapes: dict[str, tuple[int, ...]], yaml: str = "", metadata: dict[str, str] | None = None):
        path = write_header(tmp_path / "x.safetensors", shapes, metadata)
        if yaml:
            path.with_suffix(".yaml").write_text(yaml)
        return make_tab(checkpoints=(path,)), path
    return make


def reported(tab, path: Path) -> dict:
    answer = tab.get("family", path=str(path))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_sd1_keeps_every_default(made):
    tab, path = made(SD1)
    answer = reported(tab, path)
    assert (answer["name"], answer["defaults"], answer["problem"]) == ("SD 1.x", {}, "")
    assert list(answer["unused"]) == ["optimizer.text_encoder_lr2"]


def test_sdxl_has_its_own_size_and_clip_skip_does_nothing(made):
    tab, path = made(SDXL)
    answer = reported(tab, path)
    assert answer["name"] == "SDXL"
    assert answer["defaults"] == {"dataset.resolution": "1024", "base.clip_skip": 1}
    assert "second-to-last layer" in answer["unused"]["base.clip_skip"]


@pytest.mark.parametrize(("yaml", "metadata", "name", "size"), [
    ("", None, "SD 2.x", None),
    ("model:\n  params:\n    parameterization: v\n", None, "SD 2.x 768-v", "768"),
    ("", {"modelspec.architecture": "stable-diffusion-v2-768-v"}, "SD 2.x 768-v", "768")])
def test_sd2_is_detected_from_its_768_v_without_reading_the_weights(made, yaml, metadata, name, size):
    tab, path = made(SD2, yaml, metadata)
    answer = reported(tab, path)
    assert (answer["name"], answer["defaults"].get("dataset.resolution")) == (name, size)


def test_what_cannot_be_trained_on_is_said_at_once(made):
    refiner = {key: shape for key, shape in SDXL.items() if "embedders.1" not in key}
    refiner = {key.replace("embedders.0.transformer", "embedders.0.model"): shape for key, shape in refiner.items()}
    tab, path = made(refiner)
    assert "SDXL refiner" in reported(tab, path)["problem"]


def test_a_checkpoint_that_is_not_in_the_webuis_list_is_refused(made, tmp_path):
    tab, _ = made(SDXL)
    assert tab.get("family", path=str(tmp_path / "other.safetensors")).status_code == 400


def test_a_file_whose_header_cannot_be_read_has_no_family(tab):
    path = tab.services.host.checkpoints()[0].path  # an empty file
    assert reported(tab, path)["name"] == ""


def test_a_run_gets_the_defaults_of_its_family_where_the_form_says_nothing(made):
    from lib_lora_train.ui.train.job_request import complete_job
    tab, _ = made(SDXL)
    job, _ = complete_job(tab.services, tab.job())
    assert (job.dataset.resolution, job.dataset.bucket_sides, job.base.clip_skip) == ("1024", (640, 2048), 1)
    values = tab.job()
    values["dataset"]["resolution"] = "768"
    job, _ = complete_job(tab.services, values)
    assert (job.dataset.resolution, job.dataset.bucket_sides) == ("768", (480, 1536))


@pytest.mark.parametrize(("file", "marks", "base", "own"), [
    ("ponyDiffusionV6XL", {}, "Pony", {}), ("Illustrious-XL-v0.1", {}, "Illustrious", {}),
    ("NoobAI-XL-v1.1", {}, "NoobAI", {"sample.cfg_scale": 5.0}),
    ("NoobAI-XL-v1.1", {"v_pred": (0,)}, "NoobAI v-pred", {
        "sample.cfg_scale": 5.0, "base.v_parameterization": True, "loss.zero_terminal_snr": True})])
def test_a_base_within_sdxl_has_its_own_defaults_and_notes(make_tab, tmp_path, file, marks, base, own):
    path = write_header(tmp_path / f"{file}.safetensors", {**SDXL, **marks})
    answer = reported(make_tab(checkpoints=(path,)), path)
    assert (answer["name"], answer["base"]) == ("SDXL", base)
    assert answer["defaults"] == {"dataset.resolution": "1024", "base.clip_skip": 1, **own}
    assert any(base.split()[0] in note for note in answer["notes"])


def test_presets_and_categories_follow_the_family(tab):
    [easy] = [one for one in tab.get("presets", family="SDXL").json()["presets"] if one["name"] == "easy"]
    assert easy["values"]["dataset"]["resolution"] == "1024" and easy["values"]["network"]["network_dim"] == 12
    ranks = {one["letter"]: one["suggested_rank"]
             for one in tab.get("difficulties", family="SDXL", base="Pony").json()["difficulties"]}
    assert (ranks["E"], ranks["G"]) == (24, 48)


@pytest.mark.parametrize(("chosen", "own"), [
    ("SDXL", {}), ("Pony", {}), ("Illustrious", {}), ("NoobAI", {"sample.cfg_scale": 5.0}),
    ("NoobAI v-pred", {"sample.cfg_scale": 5.0, "base.v_parameterization": True, "loss.zero_terminal_snr": True})])
def test_a_chosen_base_has_the_same_defaults_in_the_form_and_in_the_run(made, chosen, own):
    from lib_lora_train.ui.train.job_request import complete_job
    tab, path = made(SDXL)
    answer = tab.get("family", path=str(path), base=chosen).json()
    assert (answer["base"], answer["detected"]) == (chosen, "")
    assert answer["defaults"] == {"dataset.resolution": "1024", "base.clip_skip": 1, **own}
    job, _ = complete_job(tab.services, {**tab.job(), "base": {"sdxl_base": chosen}})
    for key, default in answer["defaults"].items():
        group, name = key.split(".")
        assert getattr(getattr(job, group), name) == default


def test_a_choice_goes_before_the_name_but_not_before_what_the_file_predicts(make_tab, tmp_path):
    path = write_header(tmp_path / "ponyMix.safetensors", {**SDXL, "v_pred": (0,)})
    tab = make_tab(checkpoints=(path,))
    assert reported(tab, path)["base"] == "Pony"
    answer = tab.get("family", path=str(path), base="NoobAI").json()
    assert (answer["base"], answer["detected"]) == ("NoobAI v-pred", "Pony")
    assert "base.sdxl_base is NoobAI, but the checkpoint says that it predicts velocity" in answer["notes"][0]
    assert tab.get("family", path=str(path), base="SDXL").json()["base"] == "SDXL"
