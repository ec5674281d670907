"""v-prediction checkpoints that the webui draws as noise: what is said beside images, and the YAML that a click writes.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lib_lora_train.ui.prediction import velocity_yaml
from tests.crashes import failing
from tests.standin.checkpoint_file import SD1, SD2, SDXL, write_header

MARKS = {"v_pred": (0,), "ztsnr": (0,)}
SSD = {name: shape for name, shape in SDXL.items() if "middle_block.1" not in name}


@pytest.fixture
def tab_with(make_tab, tmp_path):
    """A tab whose webui has one checkpoint of ``shapes`` loaded; and its file."""
    def make(shapes, name="noob", metadata=None, yaml=None):
        folder = tmp_path / "data" / "models" / "Stable-diffusion"
        folder.mkdir(parents=True)
        path = write_header(folder / f"{name}.safetensors", shapes, metadata)
        if yaml is not None:
            path.with_suffix(".yaml").write_text(yaml, encoding="utf-8")
        return make_tab(checkpoints=(path,)), path

    return make


def load_again(path):
    """What choosing another checkpoint and then this one does."""
    from modules import sd_models
    sd_models.model_data.set_sd_model(sd_models.Model(sd_models.CheckpointInfo(str(path))))


def notices(tab):
    """What the form, a run's strip and its Test tab say."""
    run = tab.start()
    tab.wait_for(run, "finished", "failed")
    return [tab.post("job/check", {"job": tab.job()}).json()["prediction"],
            tab.get(f"runs/{run}/strip").json()["prediction"], tab.get(f"runs/{run}/test").json()["prediction"]]


def written(tab, path, **more):
    return tab.post("prediction-yaml", {"checkpoint": str(path), **more})


@pytest.mark.parametrize(("shapes", "metadata"), [
    ({**SDXL, **MARKS}, {}), ({**SSD, **MARKS}, {}), (SDXL, {"modelspec.prediction_type": "v"}),
    (SD1, {"modelspec.prediction_type": "v_prediction"})])
def test_a_click_writes_the_yaml_and_the_notice_goes_when_the_checkpoint_is_loaded_again(tab_with, shapes, metadata):
    tab, path = tab_with(shapes, metadata=metadata)
    said = notices(tab)
    assert all("no noob.yaml beside it" in notice["text"] and notice["yaml"] == "noob.yaml" for notice in said)
    assert ["zero terminal SNR" in notice["text"] for notice in said] == ["ztsnr" in shapes] * 3
    assert not path.with_suffix(".yaml").exists()  # nothing is written by itself
    answer = written(tab, path)
    assert answer.status_code == 200 and answer.json()["yaml"] == "noob.yaml"
    said = notices(tab)
    assert all("loaded it before" in notice["text"] and notice["yaml"] == "" for notice in said)
    load_again(path)
    assert notices(tab) == [None] * 3
    assert tab.get("family", path=str(path)).json()["name"] in ("SDXL", "SSD-1B", "SD 1.x")


@pytest.mark.parametrize("shapes", [SDXL, SD1, SD2])
def test_nothing_is_said_of_a_model_that_predicts_noise(tab_with, shapes):
    tab, _ = tab_with(shapes)
    assert notices(tab) == [None] * 3


@pytest.mark.parametrize("shapes", [SDXL, SD1])
def test_what_the_user_says_is_said_too_and_can_be_written(tab_with, shapes):
    tab, path = tab_with(shapes)
    notice = tab.post("job/check", {"job": {**tab.job(), "base": {"v_parameterization": True}}}).json()["prediction"]
    assert notice["said"] and notice["yaml"] == "noob.yaml"
    assert written(tab, path).status_code == 400
    assert written(tab, path, v_prediction=True).status_code == 200


NOISE = "model: {params: {denoiser_config: {params: {scaling_config: {target: sgm.EpsScaling}}}}}"


def test_a_yaml_that_says_noise_is_named_and_left_alone(tab_with):
    tab, path = tab_with(SDXL, yaml=NOISE)
    notice = tab.post("job/check", {"job": {**tab.job(), "base": {"v_parameterization": True}}}).json()["prediction"]
    assert "noob.yaml beside it says that it predicts noise" in notice["text"] and notice["yaml"] == ""
    answer = written(tab, path, v_prediction=True)
    assert answer.status_code == 400 and "not overwritten" in answer.json()["error"]
    assert path.with_suffix(".yaml").read_text(encoding="utf-8") == NOISE


def test_a_yaml_that_says_noise_of_a_marked_file_is_doubted_until_it_is_gone_or_the_user_decides(tab_with):
    tab, path = tab_with({**SDXL, **MARKS}, yaml=NOISE)
    said = notices(tab)
    for notice in said:
        assert "mark of v-prediction models, but noob.yaml beside it says that it predicts noise" in notice["text"]
        assert "remove it and have it written again" in notice["text"] and notice["yaml"] == ""
    job = tab.job()
    assert not [note for note in tab.post("job/check", {"job": job}).json()["notes"] if "noob.yaml" in note["text"]]
    forced = tab.post("job/check", {"job": {**job, "base": {"v_parameterization": True}}}).json()["prediction"]
    assert "is trained as a v-prediction model" in forced["text"]
    path.with_suffix(".yaml").unlink()
    assert all("no noob.yaml beside it" in notice["text"] and notice["yaml"] == "noob.yaml" for notice in notices(tab))


@pytest.mark.parametrize(("shapes", "metadata", "words"), [
    (SDXL, {}, "does not say that it predicts velocity"), (SD1, {}, "does not say that it predicts velocity"),
    (SDXL, {"modelspec.prediction_type": "epsilon"}, "predicts noise"),
    ({"a": (1,), "v_pred": (0,)}, {}, "not a checkpoint")])
def test_no_yaml_is_written_for_what_is_no_v_prediction_model(tab_with, shapes, metadata, words):
    tab, path = tab_with(shapes, metadata=metadata)
    answer = written(tab, path)
    assert answer.status_code == 400 and words in answer.json()["error"]
    assert not path.with_suffix(".yaml").exists()


def test_files_outside_of_the_webuis_list_and_links_are_refused(tab_with, tmp_path):
    tab, path = tab_with({**SDXL, **MARKS})
    other = write_header(tmp_path / "other.safetensors", {**SDXL, **MARKS})
    for wrong in (str(other), str(path.parent / ".." / "Stable-diffusion" / path.name), "", "\0", str(path.parent)):
        answer = tab.post("prediction-yaml", {"checkpoint": wrong})
        assert answer.status_code == 400 and "list of checkpoints" in answer.json()["error"]
    assert list(tmp_path.rglob("*.yaml")) == []
    path.with_suffix(".yaml").symlink_to(tmp_path / "elsewhere")  # dangling: writing would make the other file
    assert "not overwritten" in written(tab, path).json()["error"]
    assert not (tmp_path / "elsewhere").exists()


def test_a_pickled_file_is_refused_since_its_family_is_not_known(make_tab, tmp_path):
    path = tmp_path / "old.ckpt"
    path.write_bytes(b"PK")
    tab = make_tab(checkpoints=(path,))
    answer = written(tab, path, v_prediction=True)
    assert answer.status_code == 400 and "family is not known" in answer.json()["error"]


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_is_said_and_leaves_nothing_behind(tab_with, code, at):
    tab, path = tab_with({**SDXL, **MARKS})
    with failing(at, 1, code):
        answer = written(tab, path)
    assert answer.status_code == 400 and str(path.with_suffix(".yaml")) in answer.json()["error"]
    assert not path.with_suffix(".yaml").exists()


def test_forge_reads_the_mark_itself_and_needs_a_yaml_only_without_it(tab_with, monkeypatch):
    from lib_lora_train.host.webui import Webui
    tab, _ = tab_with({**SDXL, **MARKS})
    monkeypatch.setattr(Webui, "reads_v_prediction", ("yaml", "mark"))
    monkeypatch.setattr(Webui, "prediction_of", lambda self, checkpoint: "")
    check = tab.post("job/check", {"job": tab.job()}).json()
    assert check["prediction"] is None
    assert not [note for note in check["notes"] if "webui" in note["text"]]
    monkeypatch.setattr(Webui, "reads_v_prediction", ("mark",))
    said = tab.post("job/check", {"job": {**tab.job(), "base": {"v_parameterization": True}}}).json()["prediction"]
    assert said is None


@pytest.mark.parametrize("family", ["SD 1.x", "SD 2.x", "SD 2.x 768-v", "SDXL", "SSD-1B"])
def test_the_yaml_is_the_webuis_own_but_for_what_is_predicted(tab, family):
    template = tab.services.host.model_config(family)
    before, after = OmegaConf.load(template), OmegaConf.create(velocity_yaml(template))
    if "XL" in family or "SSD" in family:
        settings = after.model.params.denoiser_config.params
        assert settings.scaling_config.target.endswith("denoiser_scaling.VScaling")
        settings.scaling_config.target = "sgm.modules.diffusionmodules.denoiser_scaling.EpsScaling"
        settings.weighting_config.target = "sgm.modules.diffusionmodules.denoiser_weighting.EpsWeighting"
    else:
        assert after.model.params.parameterization == "v"
        before.model.params.parameterization = "v"
    assert OmegaConf.to_container(before) == OmegaConf.to_container(after)


def test_a_family_that_the_webui_has_no_yaml_for_is_refused(tab_with, monkeypatch):
    from modules import sd_models_config
    tab, path = tab_with({**SDXL, **MARKS})
    monkeypatch.setattr(sd_models_config, "config_sdxl", str(Path("/not/there.yaml")))
    assert "has no YAML for SDXL" in written(tab, path).json()["error"]
    assert tab.post("job/check", {"job": tab.job()}).json()["prediction"]["yaml"] == ""
