"""The test strip: each saved file is drawn by the webui as txt2img is set, while the run goes on."""

from __future__ import annotations

import threading

import pytest
from modules import call_queue, processing, sd_models
from PIL import Image

from lib_lora_train.ui import drawing as drawing_module
from lib_lora_train.ui.runs import strip as strip_module

from ..conftest import painted, wait_until

FORM = {"negative_prompt": "blurry", "styles": ["sketch"], "steps": 3, "sampler_name": "Euler a", "scheduler": "Karras",
        "cfg_scale": 6.5, "width": 72, "height": 64, "seed": 5, "enable_hr": False}
FILES = ["", "penny-000001", "penny-000002", "penny"]


def start(tab, name="penny", sample_by="webui", prompts=("penny smiling",), txt2img=FORM, **training):
    job = tab.job(name, **training)
    job["sample"] = {"sample_prompts": list(prompts), "sample_by": sample_by}
    answer = tab.post("runs", {"job": job, "txt2img": txt2img})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def strip_of(tab, run_id):
    return tab.get(f"runs/{run_id}/strip").json()


def switch(tab, run_id, **request):
    return tab.post(f"runs/{run_id}/strip", {"on": True, **request})


def drawn(tab, run_id):
    """The strip once nothing is missing."""
    return wait_until(lambda: (strip := strip_of(tab, run_id))["missing"] == 0 and not strip["drawing"] and strip)


def colour(tab, run_id, path):
    return Image.open(tab.services.runs_dir / run_id / path).getpixel((1, 1))


def picture(tab, run_id, strip, file, index=0):
    column = next(column for column in strip["columns"] if column["file"] == file)
    return colour(tab, run_id, column["pictures"][index])


@pytest.fixture
def seen(monkeypatch):
    """Every picture that the webui was asked for."""
    asked, original = [], processing.process_images
    monkeypatch.setattr(processing, "process_images", lambda p: asked.append(p) or original(p))
    return asked


def checked_twice(tab, monkeypatch):
    """Wait until the strips have twice been looked through from beginning to end for something to draw."""
    strips, passes = tab.services.strips, []
    original = strips._next
    monkeypatch.setattr(strips, "_next", lambda: (original(), passes.append(1))[0])
    wait_until(lambda: tab.services.drawings.wake() or len(passes) >= 2)


@pytest.fixture
def finished(tab, finished_run):
    """A tab with a run that ended without a strip."""
    tab.run = finished_run(tab)
    return tab


def test_each_saved_file_is_drawn_while_the_run_continues_and_so_is_the_picture_without(tab, seen):
    run_id = start(tab, prompts=["penny smiling", "a house"])
    wait_until(lambda: strip_of(tab, run_id)["columns"][-1]["pictures"][0])  # the first column while others are made
    tab.wait_for(run_id, "finished")
    strip = drawn(tab, run_id)
    assert [column["file"] for column in strip["columns"]] == FILES
    assert [column["epoch"] for column in strip["columns"]] == [0, 1, 2, 3]
    for file in FILES:
        for index, prompt in enumerate(("penny smiling", "a house")):
            expected = f"{prompt} <lora:{file}:1>" if file else prompt
            assert picture(tab, run_id, strip, file, index) == painted(expected, 5)
    assert len(seen) == 8
    p = seen[0]
    assert (p.negative_prompt, p.styles, p.steps, p.sampler_name, p.scheduler, p.cfg_scale) == (
        "blurry", ["sketch"], 3, "Euler a", "Karras", 6.5)
    assert (p.width, p.height, p.enable_hr, p.override_settings) == (72, 64, False, {"CLIP_stop_at_last_layers": 1})
    assert p.scripts is not None  # block weights and whatever else works in txt2img
    assert strip["about"].startswith("Euler a, Karras, 3 steps, CFG 6.5, 72 × 64, CLIP skip 1, seed 5, style sketch")


def test_pictures_keep_the_parameters_they_were_made_with_and_the_first_is_the_loras_card(tab):
    run_id = start(tab)
    tab.wait_for(run_id, "finished")
    strip = drawn(tab, run_id)
    file = tab.services.runs_dir / run_id / strip["columns"][1]["pictures"][0]
    assert Image.open(file).text["parameters"].startswith("penny smiling <lora:penny-000001:1>\nSteps: 3")
    for name in FILES[1:]:
        card = tab.data / "models" / "Lora" / f"{name}.png"
        assert Image.open(card).getpixel((1, 1)) == painted(f"penny smiling <lora:{name}:1>", 5)


def test_a_seed_by_chance_is_the_same_for_all_and_hires_calls_the_lora_too(tab, seen):
    form = {**FORM, "seed": -1, "enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent",
            "hr_prompt": "penny, sharp", "hr_sampler_name": "Use same sampler", "hr_second_pass_steps": 2}
    run_id = start(tab, txt2img=form)
    tab.wait_for(run_id, "finished")
    strip = drawn(tab, run_id)
    assert len({p.seed for p in seen}) == 1 and seen[0].seed >= 0
    assert Image.open(tab.services.runs_dir / run_id / strip["columns"][1]["pictures"][0]).size == (108, 96)
    assert {p.hr_prompt for p in seen} == {"penny, sharp", *(f"penny, sharp <lora:{file}:1>" for file in FILES[1:])}
    assert "hires fix × 1.5 with Latent" in strip["about"]


def test_a_lora_that_the_prompt_calls_keeps_its_weight_and_blocks(tab, seen):
    (tab.data / "models" / "Lora" / "other.safetensors").touch()
    run_id = start(tab, prompts=["<lora:penny-000001:0.7:lbw=OUTS> penny, <lora:other:1>"])
    tab.wait_for(run_id, "finished")
    drawn(tab, run_id)
    assert {p.prompt for p in seen} == {
        " penny, <lora:other:1>",
        *(f"<lora:{file}:0.7:lbw=OUTS> penny, <lora:other:1>" for file in FILES[1:])}


def test_a_prompt_may_call_a_file_that_the_run_will_save(make_tab, seen):
    tab = make_tab({"STANDIN_STEP_SECONDS": "1"})
    run_id = start(tab, prompts=["<lora:penny-000001:0.7> penny"], max_train_steps=50_000)
    wait_until(lambda: seen)
    assert strip_of(tab, run_id)["error"] == ""
    tab.post(f"runs/{run_id}/control", {"action": "stop"})
    tab.wait_for(run_id, "stopped")
    assert seen[0].prompt == " penny"


def test_a_strip_can_be_switched_on_later_and_then_has_every_file(finished):
    assert strip_of(finished, finished.run)["on"] is False
    assert strip_of(finished, finished.run)["prompts"] == ["penny smiling"]
    assert switch(finished, finished.run, txt2img=FORM).json()["on"]
    strip = drawn(finished, finished.run)
    assert [bool(column["pictures"][0]) for column in strip["columns"]] == [True] * 4


def test_other_prompts_or_settings_begin_anew_and_what_was_drawn_is_found_again(finished, seen):
    switch(finished, finished.run, txt2img=FORM)
    drawn(finished, finished.run)
    switch(finished, finished.run, prompts=["penny, sad"])
    strip = drawn(finished, finished.run)
    assert picture(finished, finished.run, strip, "penny") == painted("penny, sad <lora:penny:1>", 5)
    switch(finished, finished.run, txt2img={**FORM, "seed": 6})
    strip = drawn(finished, finished.run)
    assert picture(finished, finished.run, strip, "penny") == painted("penny, sad <lora:penny:1>", 6)
    assert len(seen) == 12
    switch(finished, finished.run, prompts=["penny smiling"], txt2img=FORM)
    assert strip_of(finished, finished.run)["missing"] == 0
    assert len(seen) == 12


def test_the_newest_file_comes_first_and_then_the_picture_without(finished, seen):
    switch(finished, finished.run, txt2img=FORM)
    drawn(finished, finished.run)
    assert [p.prompt.removeprefix("penny smiling").strip() for p in seen] == [
        "<lora:penny:1>", "", "<lora:penny-000002:1>", "<lora:penny-000001:1>"]


def test_switching_off_stops_the_picture_that_is_being_made(finished, monkeypatch):
    monkeypatch.setenv("STANDIN_PICTURE_STEP_SECONDS", "2.5")
    switch(finished, finished.run, txt2img={**FORM, "steps": 150})  # longer than anything here is waited for
    wait_until(lambda: (strip := strip_of(finished, finished.run)["drawing"]) and strip["share"] is not None)
    wait_until(lambda: not strip_of(finished, finished.run)["drawing"]["waiting"])
    finished.post(f"runs/{finished.run}/strip", {"on": False})
    strip = wait_until(lambda: not (strip := strip_of(finished, finished.run))["drawing"] and strip)
    assert (strip["on"], strip["error"], strip["columns"][-1]["pictures"]) == (False, "", [None])


def test_it_waits_while_the_webui_is_busy_and_says_so(finished):
    with call_queue.queue_lock:
        switch(finished, finished.run, txt2img=FORM)
        now = wait_until(lambda: strip_of(finished, finished.run)["drawing"])
        assert now == {"file": "penny", "index": 0, "share": 0.0, "waiting": True}
    assert drawn(finished, finished.run)["error"] == ""


def test_another_checkpoint_in_the_webui_makes_the_strip_wait_for_its_own(finished, seen, monkeypatch):
    checkpoint = sd_models.model_data.sd_model
    other = sd_models.CheckpointInfo(str(finished.data / "other.safetensors"))
    sd_models.model_data.set_sd_model(sd_models.Model(other))
    switch(finished, finished.run, txt2img=FORM)
    drawn(finished, finished.run)
    sd_models.model_data.set_sd_model(checkpoint)
    switch(finished, finished.run, prompts=["penny, sad"])
    strip = strip_of(finished, finished.run)
    assert strip["missing"] == 4
    assert "The strip uses other.safetensors, and the webui has mini.safetensors loaded" in strip["waits_for"]
    checked_twice(finished, monkeypatch)
    assert len(seen) == 4
    sd_models.model_data.set_sd_model(sd_models.Model(other))
    assert drawn(finished, finished.run)["waits_for"] == "" and len(seen) == 8
    sd_models.model_data.set_sd_model(checkpoint)
    switch(finished, finished.run, txt2img=FORM)  # as txt2img is now, the checkpoint included
    assert drawn(finished, finished.run)["waits_for"] == "" and len(seen) == 12


@pytest.mark.parametrize(("prompt", "sentence"), [
    ("broken", "RuntimeError: A tensor with all NaNs was produced in Unet."),
    ("<lora:gone:1>", "could not use the LoRA: Lora not found: gone")])
def test_what_goes_wrong_is_reported_once_and_can_be_tried_again(finished, seen, prompt, sentence, monkeypatch):
    switch(finished, finished.run, prompts=[prompt], txt2img=FORM)
    strip = wait_until(lambda: (strip := strip_of(finished, finished.run))["error"] and strip)
    assert sentence in strip["error"] and strip["on"]
    assert len(seen) == 1
    checked_twice(finished, monkeypatch)
    assert len(seen) == 1
    switch(finished, finished.run)
    wait_until(lambda: len(seen) == 2)


def test_a_picture_that_the_user_interrupts_is_not_kept(finished, monkeypatch):
    from modules import shared

    original = processing.process_images

    def interrupted(p):
        shared.state.interrupt()
        return original(p)

    monkeypatch.setattr(processing, "process_images", interrupted)
    switch(finished, finished.run, txt2img=FORM)
    strip = wait_until(lambda: (strip := strip_of(finished, finished.run))["error"] and strip)
    assert "was interrupted in the webui" in strip["error"]
    assert strip["columns"][-1]["pictures"] == [None]


def test_a_file_that_was_deleted_has_no_column(finished):
    (finished.data / "models" / "Lora" / "penny-000002.safetensors").unlink()
    switch(finished, finished.run, txt2img=FORM)
    assert [column["file"] for column in drawn(finished, finished.run)["columns"]] == ["", "penny-000001", "penny"]


def test_a_run_that_waits_for_its_turn_is_not_drawn_yet(tab, seen, monkeypatch):
    first = tab.start("penny", max_train_steps=50_000)
    tab.wait_for(first, "running")
    second = start(tab, "alice", max_train_steps=50_000, max_train_epochs=5000)
    checked_twice(tab, monkeypatch)
    assert seen == [] and strip_of(tab, second)["on"]
    tab.post(f"runs/{first}/control", {"action": "stop"})
    tab.wait_for(second, "running")
    wait_until(lambda: strip_of(tab, second)["columns"][0]["pictures"][0])
    wait_until(lambda: len(strip_of(tab, second)["columns"]) > 1)  # its files follow


def test_a_webui_that_is_started_again_continues_with_the_strip(make_tab, monkeypatch):
    before = make_tab()
    run_id = before.start("penny")
    before.wait_for(run_id, "finished")
    before.services.drawings.close()
    before.services.drawings.join(60)
    switch(before, run_id, txt2img=FORM)
    before.services.supervisor.close()
    before.services.supervisor.join(60)
    after = make_tab()
    assert len(drawn(after, run_id)["columns"]) == 4


def test_a_reload_of_the_ui_keeps_the_services(make_tab):
    before, after = make_tab().services, make_tab().services
    for kept in ("index", "supervisor", "drawings", "strips", "plots", "regularization", "datasets"):
        assert getattr(after, kept) is getattr(before, kept)
    before.supervisor.close()
    assert make_tab().services.supervisor is not before.supervisor


def test_catching_up_leaves_the_run_half_of_the_time(tab, monkeypatch):
    """Older files are drawn at a stretch, with pauses as long as that took; the newest is drawn at once."""
    monkeypatch.setattr(strip_module, "_STRETCH_SECONDS", 0.0)
    run_id = tab.start("penny", max_train_steps=50_000, max_train_epochs=5000)
    wait_until(lambda: len(tab.get(f"runs/{run_id}").json()["saved"]) > 3)
    waits = []
    desk = tab.services.drawings
    original = desk._wake.wait
    monkeypatch.setattr(desk._wake, "wait", lambda seconds=None: waits.append(seconds) or original(0))
    switch(tab, run_id, txt2img=FORM)
    wait_until(lambda: any(seconds is not None for seconds in waits))
    assert all(seconds is None or 0 < seconds < 60 for seconds in waits)


def test_a_disk_that_is_full_even_for_the_reason_ends_nothing(finished, monkeypatch):
    monkeypatch.setattr(drawing_module, "_TRY_AGAIN_SECONDS", 0.1)
    full = [True]

    def write(run, strip, original=strip_module.write_strip):
        if full and strip.error:
            full.clear()
            raise OSError("No space left on device")
        original(run, strip)

    monkeypatch.setattr(strip_module, "write_strip", write)
    switch(finished, finished.run, prompts=["broken"], txt2img=FORM)
    wait_until(lambda: strip_of(finished, finished.run)["error"])
    assert not full


def test_in_both_ways_the_worker_draws_too_and_by_default_it_draws_alone(tab, seen):
    both = start(tab, "penny", sample_by="both")
    tab.wait_for(both, "finished")
    drawn(tab, both)
    assert len(seen) == 4
    alone = start(tab, "alice", sample_by="worker")
    tab.wait_for(alone, "finished")
    assert not strip_of(tab, alone)["on"] and len(seen) == 4


@pytest.mark.parametrize(("request_", "sentence"), [
    ({"prompts": [" "]}, "Write at least one prompt"), ({"txt2img": {"width": 5}}, "width"),
    ({"txt2img": {"steps": "many"}}, "steps")])
def test_what_cannot_be_drawn_is_refused_with_a_sentence(finished, request_, sentence):
    answer = switch(finished, finished.run, **request_)
    assert answer.status_code == 400 and sentence in answer.json()["error"]
    assert strip_of(finished, finished.run)["on"] is False


def test_where_pictures_cannot_be_drawn_the_form_and_the_strip_say_so(finished, monkeypatch):
    monkeypatch.setattr(type(finished.services.host), "plot_drawer", lambda self: None)
    assert strip_of(finished, finished.run)["possible"] is False
    assert "Only AUTOMATIC1111's webui" in switch(finished, finished.run).json()["error"]
    job = {**finished.job("alice"), "sample": {"sample_prompts": ["penny"], "sample_by": "both"}}
    problems = finished.post("job/check", {"job": job}).json()["problems"]
    assert any("sample.sample_by is both" in problem for problem in problems)


def test_a_picture_of_the_strip_makes_the_run_on_the_gpu_step_aside(make_tab):
    tab = make_tab(device="cuda:0")
    where = []
    run_id = start(tab, max_train_steps=50_000, max_train_epochs=5000)
    lock = threading.Lock()
    original = processing.process_images

    def watched(p):
        with lock:
            where.append(str(sd_models.model_data.sd_model.where))
        return original(p)

    processing.process_images = watched
    try:
        wait_until(lambda: len(where) > 2)
    finally:
        processing.process_images = original
    assert set(where) == {"cuda:0"}
    tab.post(f"runs/{run_id}/strip", {"on": False})
    wait_until(lambda: str(sd_models.model_data.sd_model.where) == "cpu")
