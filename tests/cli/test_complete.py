"""A job file that leaves the size out trains at the size of its checkpoint's family, as in the form."""

from __future__ import annotations

import pytest

from lib_lora_train.cli.complete import complete
from lib_lora_train.config.load import load_job
from lib_lora_train.errors import ConfigError
from tests.standin.checkpoint_file import SD1, SD2, SDXL, write_header

SSD = {key: shape for key, shape in SDXL.items() if "middle_block" not in key}
VELOCITY = {"base.v_parameterization": True, "loss.zero_terminal_snr": True, "sample.cfg_scale": 5.0}
CASES = {
    "sd1": (SD1, {}, "512", (320, 1024), {}), "sd2": (SD2, {}, "512", (320, 1024), {}),
    "sd2_v": (SD2, {"modelspec.architecture": "stable-diffusion-v2-768-v"}, "768", (480, 1536), {}),
    "sdxl": (SDXL, {}, "1024", (640, 2048), {}), "ssd": (SSD, {}, "1024", (640, 2048), {}),
    "ponyDiffusionV6XL": (SDXL, {}, "1024", (640, 2048), {}),
    "Illustrious-XL-v0.1": (SDXL, {}, "1024", (640, 2048), {"sample.cfg_scale": 7.0}),
    "NoobAI-XL-v1.1": (SDXL, {}, "1024", (640, 2048), {"sample.cfg_scale": 5.0, "base.v_parameterization": False}),
    "NoobAI-XL-Vpred-v1.0": (SDXL, {}, "1024", (640, 2048), VELOCITY)}


def job_file(folder, name, shapes, metadata=None, more=""):
    checkpoint = write_header(folder / f"{name}.safetensors", shapes, metadata)
    path = folder / "job.yaml"
    path.write_text(f"base:\n  checkpoint: {checkpoint}\ndataset:\n  train_data_dir: {folder}\n{more}"
                    f"save:\n  output_name: penny\n  output_dir: {folder}\n")
    return path


def value(job, key):
    group, name = key.split(".")
    return getattr(getattr(job, group), name)


@pytest.mark.parametrize("name", CASES)
def test_what_a_job_leaves_out_follows_from_the_family(name, tmp_path, capsys):
    shapes, metadata, resolution, sides, others = CASES[name]
    job = load_job(job_file(tmp_path, name, shapes, metadata), complete=complete)
    assert (job.dataset.resolution, job.dataset.bucket_sides) == (resolution, sides)
    assert {key: value(job, key) for key in others} == others
    assert ("dataset.resolution=" in capsys.readouterr().out) == (resolution != "512")


@pytest.mark.parametrize("name", CASES)
def test_what_a_job_says_is_kept(name, tmp_path, capsys):
    shapes, metadata, *_ = CASES[name]
    said = ["dataset.resolution=640", "sample.cfg_scale=4", "base.v_parameterization=false",
            "loss.zero_terminal_snr=false"]
    job = load_job(job_file(tmp_path, name, shapes, metadata), said, complete=complete)
    assert (job.dataset.resolution, job.dataset.bucket_sides, job.sample.cfg_scale) == ("640", (400, 1280), 4)
    assert not job.base.v_parameterization and not job.loss.zero_terminal_snr
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("chosen", "cfg", "velocity"), [
    ("SDXL", 7.0, False), ("Pony", 7.0, False), ("Illustrious", 7.0, False), ("NoobAI", 5.0, False),
    ("NoobAI v-pred", 5.0, True)])
def test_a_base_is_chosen_on_the_command_line(chosen, cfg, velocity, tmp_path):
    job = load_job(job_file(tmp_path, "my_mix", SDXL), [f"base.sdxl_base={chosen}"], complete=complete)
    assert (job.sample.cfg_scale, job.base.v_parameterization, job.loss.zero_terminal_snr) == (cfg, velocity, velocity)


def test_a_base_that_is_not_known_is_refused_and_damaged_jobs_stay_errors_in_words(tmp_path):
    path = job_file(tmp_path, "my_mix", SDXL)
    with pytest.raises(ConfigError, match="sdxl_base is 'Flux'. Choose one of: SDXL, Pony"):
        load_job(path, ["base.sdxl_base=Flux"], complete=complete)
    for text in ("base: 3\n", "base:\n  checkpoint: [1]\n", "base:\n  checkpoint: gone.safetensors\ndataset: 3\n"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            load_job(path, complete=complete)
