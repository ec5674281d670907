"""The webui's interrogator, asked by the tab: one image at a time, with the webui's lock, on A1111 and Forge."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
from modules import call_queue, devices, interrogate, shared
from PIL import Image

from lib_lora_train.errors import RunError
from lib_lora_train.host import parts
from lib_lora_train.host.guard import guard_of
from lib_lora_train.host.interface import FOR_DESCRIPTIONS
from tests.host.mixtures import FORGE, MEMORY, REFORGE, become, forget
from tests.standin.webui import Options, configure

RED, BLUE = Image.new("RGB", (30, 20), (200, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 90))


@pytest.fixture
def interrogator(monkeypatch, tmp_path):
    made = interrogate.InterrogateModels()
    monkeypatch.setattr(shared, "interrogator", made)
    monkeypatch.setattr(devices, "device_interrogate", devices.Device("cuda"))
    configure(Options(data_dir=tmp_path, port=0, device="cuda"))
    yield made
    forget()


def host():
    from lib_lora_train.host.choose import host_of_this_process

    return host_of_this_process()


def put_model():
    blip = host().models_dir / "BLIP"
    blip.mkdir(parents=True)
    (blip / "model_base_caption_capfilt_large.pth").touch()


def test_an_image_is_described_on_the_gpu_which_is_left_to_the_webui_afterwards(interrogator):
    describer = host().describer()
    assert describer.describe(RED) == "a red picture of 30 by 20"
    assert interrogator.blip_model.device == "cpu"
    assert describer.describe(BLUE) == "a blue picture of 8 by 8"
    assert interrogator.said == [("red", "cuda"), ("blue", "cuda")]
    assert shared.state.job == ""


@pytest.mark.parametrize(("on_cpu", "no_half", "dtype"), [(True, False, "float32"), (False, False, "float16"),
                                                          (False, True, "float32")])
def test_the_precision_is_the_webuis(interrogator, monkeypatch, on_cpu, no_half, dtype):
    interrogator.running_on_cpu = on_cpu
    monkeypatch.setattr(shared.cmd_opts, "no_half", no_half, raising=False)
    host().describer().describe(RED)
    assert (interrogator.blip_model.dtype, interrogator.dtype) == (dtype, dtype)


def test_each_image_takes_the_webuis_lock_for_itself(interrogator, monkeypatch):
    describer, seen, guard = host().describer(), [], guard_of(call_queue.queue_lock)
    plain = interrogator.generate_caption

    def watched(picture):
        seen.append((guard.wanted, call_queue.queue_lock.acquire(False)))
        return plain(picture)

    monkeypatch.setattr(interrogator, "generate_caption", watched)
    for picture in (RED, BLUE):
        describer.describe(picture)
        assert guard.wanted is None
        assert call_queue.queue_lock.acquire(False)
        call_queue.queue_lock.release()
    assert seen == [(FOR_DESCRIPTIONS, False)] * 2


def test_a_failure_is_said_and_the_lock_is_free_again(interrogator):
    interrogator.fails = "no network"
    with pytest.raises(RunError, match="was not downloaded.*put model_base_caption_capfilt_large.pth into .*BLIP"):
        host().describer().describe(RED)
    put_model()
    with pytest.raises(RunError, match="interrogator could not describe an image: OSError: no network"):
        host().describer().describe(RED)
    assert call_queue.queue_lock.acquire(False)
    call_queue.queue_lock.release()
    assert shared.state.job == ""


def test_what_would_be_downloaded_is_said_before(interrogator, monkeypatch, tmp_path):
    cached = {}
    monkeypatch.setattr(parts.importlib, "import_module", _with_hub(cached))
    describer = host().describer()
    assert "900 MB" in describer.missing() and "bert-base-uncased" in describer.missing()
    put_model()
    assert "900 MB" not in describer.missing() and "bert-base-uncased" in describer.missing()
    cached["bert-base-uncased"] = "/cache/vocab.txt"
    assert describer.missing() == ""


def _with_hub(cached):
    hub = SimpleNamespace(try_to_load_from_cache=lambda repository, file: cached.get(repository))

    def load(name):
        if name == "huggingface_hub":
            return hub
        return __import__(name, fromlist=["x"])

    return load


@pytest.mark.parametrize("root", [FORGE, REFORGE])
def test_forge_moves_the_model_with_its_own_memory_in_its_own_thread(interrogator, monkeypatch, root):
    become(monkeypatch, root)
    interrogator.dtype = "bfloat16"
    describer = host().describer()
    assert describer.describe(RED) == "a red picture of 30 by 20"
    assert interrogator.said == [("red", "cuda")]
    assert interrogator.threads == ("forge",)
    assert interrogator.blip_model.dtype == "bfloat16"
    interrogator.blip_model, interrogator.fails = None, "gone"
    put_model()
    with pytest.raises(RunError, match="gone"):
        describer.describe(RED)
    assert importlib.import_module(MEMORY[root])


def test_forge_classic_and_unknown_webuis_have_none(interrogator, monkeypatch):
    become(monkeypatch, REFORGE)
    forge = host()
    monkeypatch.delattr(shared, "interrogator")
    assert forge.describer() is None
    from lib_lora_train.host.unknown import UnknownWebui

    assert UnknownWebui("nothing").describer() is None
