"""A worker that goes through the motions of training in a second, for tests of what is around it.

It reads the job, writes the events, samples and LoRA files of a real run, and obeys pause and stop. It learns nothing.
``STANDIN_STEP_SECONDS`` is the time of a step, ``STANDIN_FAILS_AT_STEP`` where it breaks off with an error, unless it
goes on from a state.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from PIL import Image

from lib_lora_train.config.bake_job import load_bake_job
from lib_lora_train.config.load import load_job, read_file, read_settings
from lib_lora_train.config.tool_jobs import load_tool_job
from lib_lora_train.files.atomic import write_atomically
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import BAKE, BASES, INSPECT, KNOWS, MERGE, STRIP_FILE, TOOLS, RunFolder
from lib_lora_train.runs.process import remember_process
from lib_lora_train.runs.standing import Standing

STEPS_PER_EPOCH = 10
NOISE = {"family": "SD 1.x", "prediction": "epsilon", "zero_terminal_snr": False, "edges": [0, 333, 667, 1000],
         "guess": [0.88, 0.45, 0.07]}
# Of each block of SD 1.x that has attention, and of the text encoder
LAYERS = ("lora_te_text_model_encoder_layers_0_mlp_fc1", "lora_unet_mid_block_attentions_0_proj_in",
          *(f"lora_unet_down_blocks_{level}_attentions_{number}_proj_in" for level in range(3) for number in range(2)),
          *(f"lora_unet_up_blocks_{level}_attentions_{number}_proj_in" for level in (1, 2, 3) for number in range(3)))


def bake(run: RunFolder) -> None:
    """A copy beside the file, as it is."""
    remember_process(run)
    job = load_bake_job(run.job_file)
    path = Path(job.lora).with_name(f"{job.output_name}.safetensors")
    with EventWriter(run.events_file) as events:
        path.write_bytes(Path(job.lora).read_bytes())
        events.write("saved", {"path": str(path), "name": path.stem, "step": 0, "epoch": 0, "final": True})
        events.write("finished", {"steps": 0, "seconds": 0.1})


def knows(run: RunFolder) -> None:
    """A check whose first word is known and whose others mean something else; draws what is missing in one colour."""
    from lib_lora_train.captions.traits import fingerprint  # here: numpy comes with it, a third of the start
    from lib_lora_train.config.groups.knows import KnowsJob
    from lib_lora_train.pictures.scan import survey
    from lib_lora_train.runs.diagnosis.knows import drawings_of, file_mark, words_of

    remember_process(run)
    job = read_settings(KnowsJob, read_file(run.job_file), source="job")[0]
    dataset, drawings = survey(job.dataset), drawings_of(job, run)
    with EventWriter(run.events_file) as events:
        events.write("phase", {"name": "loss", "text": "Measuring the loss of the images"})
        for drawing in drawings:
            if not drawing.file.is_file():
                drawing.file.parent.mkdir(exist_ok=True)
                Image.new("RGB", (64, 64), "red").save(drawing.file)
        if obey(run, Log(events)):
            events.write("stopped", {"steps": 0, "seconds": 0.1})
            return
        words = [{"kind": word.kind, "word": word.text, "level": "unknown" if number else "known", "score": 0.1,
                  "gain": {"share": 0.02, "certainty": 3.5, "images": 4}, "others": ["vehicle"] if number else [],
                  "means_something_else": bool(number), "reason": "Measured.", "tags": [["vehicle", 0.8, 0.1]],
                  "pictures": [drawing.file.relative_to(run.path).as_posix() for drawing in drawings
                               if drawing.word == number + 1]} for number, word in enumerate(words_of(job))]
        write_atomically(run.result_file, json.dumps({
            "version": 1, "created": time.time(), "checkpoint": job.base.checkpoint,
            "checkpoint_mark": file_mark(Path(job.base.checkpoint)), "folder": str(dataset.folder),
            "captions": fingerprint(dataset.folder, dataset.pictures), "prompt": job.knows.prompt,
            "images_per_word": job.knows.images_per_word, "tagger": job.tagger.model,
            "alone": [drawing.file.relative_to(run.path).as_posix() for drawing in drawings if not drawing.word],
            "words": words, "images": [
                {"path": picture.path.relative_to(dataset.folder).as_posix(), "caption": picture.caption, "loss": 0.1,
                 "empty": 0.12, "surprise": 2.0 / (1 + number)} for number, picture in enumerate(dataset.pictures)],
            "advice": {"sentences": [f"Use {words[0]['word']}: the checkpoint knows it, and the LoRA builds on that."],
                       "settings": {"training.max_train_epochs": 7, "training.max_train_steps": None},
                       "word": words[0]["word"], "images_seen": 300, "epochs": 7}}))
        events.write("result", {"path": run.result_file.name})
        events.write("finished", {"steps": 0, "seconds": 0.1})


def bases(run: RunFolder) -> None:
    """A comparison in which each file is 0.1 away from the one before it, and the last is a merge of the first two."""
    from lib_lora_train.runs.diagnosis.knows import file_mark

    remember_process(run)
    paths = [Path(path) for path in read_file(run.job_file)["checkpoints"]]
    tree = {"leaf": 0}
    for number in range(1, len(paths)):
        tree = {"distance": 0.1 * number, "children": [tree, {"leaf": number}]}
    away = [[abs(one - other) * 0.1 for other in range(len(paths))] for one in range(len(paths))]
    found = [{"path": str(path), "name": path.name, "bytes": 100, "family": "SDXL", "mark": file_mark(path),
              "base": "Illustrious" if number else "", "base_from": "name or metadata" if number else "",
              "styles": ["booru"] if number else ["prose"], "style_from": "its file name says so",
              "precision": "float16", "parents": [], "recipe": "", "problems": [], "notes": [],
              "mixture": {"first": 0, "second": 1, "share": 0.7, "lowest": 0.7, "highest": 0.7, "residual": 0.01}
              if number > 1 and path == paths[-1] else None} for number, path in enumerate(paths)]
    with EventWriter(run.events_file) as events:
        write_atomically(run.result_file, json.dumps({
            "version": 1, "created": time.time(), "distances": away, "text_distances": away, "trees": [tree],
            "bases": found}))
        events.write("result", {"path": run.result_file.name})
        events.write("finished", {"steps": 0, "seconds": 0.1})


def tool(run: RunFolder) -> None:
    """What a tool says while it works: progress, size and error for each rank or facts, and a file of a few bytes."""
    remember_process(run)
    pause, job = float(os.environ.get("STANDIN_STEP_SECONDS", "0.02")), load_tool_job(run.command, run.job_file, ())
    with EventWriter(run.events_file) as events:
        events.write("phase", {"name": run.command, "text": f"Working on 20 layers ({run.command})"})
        for done in range(1, 21):
            if run.control.asked("stop"):
                events.write("stopped", {"steps": 0, "seconds": 0.1})
                return
            events.write("progress", {"done": done, "total": 20, "seconds_left": (20 - done) * pause})
            time.sleep(pause)
        if run.command != MERGE:
            write_atomically(run.result_file, json.dumps(FOUND if run.command == INSPECT else MEASURED))
            events.write("result", {"path": run.result_file.name})
        if run.command != INSPECT and not getattr(job, "only_curve", False):
            folder = job.output_dir or Path(getattr(job, "checkpoint", "") or getattr(job, "lora", "")
                                            or job.loras[0]).parent
            path = Path(folder) / f"{job.output_name}.safetensors"
            path.write_bytes(b"made by a tool")
            events.write("saved", {"path": str(path), "name": path.stem, "step": 0, "epoch": 0, "final": True})
        events.write("finished", {"steps": 0, "seconds": 0.1})


MEASURED = {"command": "resize", "sentences": ["LoRA with 2 layers, rank 8: about 1.2 MB, error 3.00%."], "table": "",
            "curve": [{"rank": rank, "bytes": 150_000 * rank, "error": 0.4 / rank} for rank in (1, 2, 4, 8, 16)],
            "error": 0.03, "bytes": 1_200_000, "layers": []}
FOUND = {"command": "inspect", "path": "old.safetensors", "name": "old", "bytes": 1_000_000, "kind": "LoRA, rank 8",
         "kinds": {"lora": 3}, "layers": 3, "unet_layers": 2, "text_encoder_layers": 1, "ranks": {"8": 3},
         "alphas": {"4": 3}, "precisions": {"float16": 9}, "training_problem": None,
         "norms": {"BASE": 0.2, "IN04": 0.5, "IN05": 0.7, "M00": 0.1, "OUT03": 0.9}, "norm": 1.3, "norms_unknown": 0,
         "trigger": "penny", "tags": [["penny", 20], ["smiling", 11]], "sidecar": {}, "family": "SD 1.x",
         "base_model": {"name": "nai.safetensors"}, "job": "network:\n  network_dim: 8\n", "job_from": "its metadata",
         "unread_settings": [], "broken": [], "metadata": {"ss_network_dim": "8"}, "sentences": ["old: LoRA, rank 8."]}


def main(job_file: Path) -> None:
    """Go through the run of ``job_file``, from its last state if it has one."""
    run = RunFolder(job_file.parent)
    if run.command == BAKE:
        bake(run)
        return
    if run.command in TOOLS:
        tool(run)
        return
    if run.command == KNOWS:
        knows(run)
        return
    if run.command == BASES:
        bases(run)
        return
    job = load_job(job_file, (), run.changes_file)
    remember_process(run)
    pause = float(os.environ.get("STANDIN_STEP_SECONDS", "0.02"))
    fails_at = int(os.environ.get("STANDIN_FAILS_AT_STEP", "0"))
    epochs = job.training.max_train_epochs or 1
    total = job.training.max_train_steps or epochs * STEPS_PER_EPOCH
    from_step = int(run.state_file.read_text()) if run.state_file.is_file() else 0
    began = time.time()
    with EventWriter(run.events_file) as events:
        log = Log(events)
        events.write("phase", {"name": "latents", "text": "Encoding the images"})
        for done in range(1, 6):
            events.write("progress", {"done": done, "total": 5, "seconds_left": (5 - done) * pause})
        events.write("started", {"name": job.save.output_name, "pictures": 8, "total_steps": total,
                                 "steps_per_epoch": STEPS_PER_EPOCH, "total_epochs": epochs, "parameters": 1000,
                                 "from_step": from_step, "device": "cpu", "precision": "no", "noise": NOISE})
        events.write("phase", {"name": "training", "text": "Training"})
        for step in range(from_step + 1, total + 1):
            if step == fails_at and not from_step:
                fail(events, step)
                return
            if obey(run, log):
                save(run, events, job, job.save.output_name, step, final=True)
                keep(run, events, step - 1)
                events.write("stopped", {"steps": step - 1, **durations(began, log)})
                return
            report_step(events, job, step, total, pause)
            if step % STEPS_PER_EPOCH == 0:
                end_epoch(run, events, job, step, total)
            time.sleep(pause)
        save(run, events, job, job.save.output_name, total, final=True)
        keep(run, events, total)
        events.write("finished", {"steps": total, **durations(began, log)})


def report_step(events: EventWriter, job, step: int, total: int, pause: float) -> None:
    """The event of a step, as the real worker writes it."""
    loss = 0.1 + 0.1 * math.exp(-step / 20) + 0.02 * math.sin(step * 2.3)
    rate = job.optimizer.learning_rate
    events.write("step", {"step": step, "total_steps": total, "epoch": (step - 1) // STEPS_PER_EPOCH + 1, "loss": loss,
                          "lr_unet": rate * 1e-4, "lr_text_encoder": rate * 5e-5,
                          "gradient_norm": 0.02 + 0.01 * math.sin(step), "seconds_per_step": pause,
                          "bands": [[2 * loss, 1], [loss, 1], [None, 0] if step % 2 else [loss / 4, 1]],
                          "seconds_left": (total - step) * pause})
    print(f"step {step} of {total}, loss {loss:.4f}", flush=True)


def end_epoch(run: RunFolder, events: EventWriter, job, step: int, total: int) -> None:
    """What comes at the end of an epoch: norms, the LoRA, the state."""
    epoch, grown = step // STEPS_PER_EPOCH, math.sqrt(step)
    blocks = {name: grown * share for name, share in (("BASE", 0.3), ("IN04", 0.5), ("M00", 0.2), ("OUT05", 0.9))}
    events.write("norms", {"step": step, "epoch": epoch, "unet": grown, "text_encoder": 0.3 * grown, "blocks": blocks})
    events.write("epoch", {"epoch": epoch, "total_epochs": total // STEPS_PER_EPOCH, "loss": 0.1})
    if step < total:
        save(run, events, job, f"{job.save.output_name}-{epoch:06d}", step, final=False)
    keep(run, events, step)


def keep(run: RunFolder, events: EventWriter, step: int) -> None:
    """The state: nothing but the number of steps done."""
    run.state.mkdir(exist_ok=True)
    write_atomically(run.state_file, str(step))
    events.write("state_saved", {"step": step})


def fail(events: EventWriter, step: int) -> None:
    """Break off as ``STANDIN_FAILS_HOW`` says: with a full disk, or with a loss that exploded."""
    if os.environ.get("STANDIN_FAILS_HOW") == "diverged":
        events.write("error", {"text": f"The loss became nan in step {step}.", "detail": "", "kind": "diverged"})
    else:
        events.write("error", {"text": f"The disk was full at step {step}. Free some space.", "detail": ""})


def durations(began: float, log: Log) -> dict[str, float]:
    """How long was worked and stood still."""
    return {"seconds": time.time() - began - log.still_seconds, "still_seconds": log.still_seconds}


class Log:
    """The events, as standing still reports to them."""

    def __init__(self, events: EventWriter) -> None:
        self.event, self.still_seconds = events.write, 0.0

    def stood_still(self, seconds: float) -> None:
        """Counts it."""
        self.still_seconds += seconds


def obey(run: RunFolder, log: Log) -> bool:
    """Stand still while that is asked for; ``True`` if the run has to stop."""
    Standing(run.control, log).wait(nullcontext)
    return run.control.asked("stop")


def lora_bytes(layers: Sequence[str], metadata: dict[str, str]) -> bytes:
    """A .safetensors file that changes ``layers`` by nothing."""
    header = {"__metadata__": metadata} | {
        f"{layer}.lora_up.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [4 * place, 4 * place + 4]}
        for place, layer in enumerate(layers)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4 * len(layers))


def save(run: RunFolder, events: EventWriter, job, name: str, step: int, *, final: bool) -> None:
    """Write a LoRA file with a tensor of one number in each block, and a sample for each prompt."""
    path = Path(job.save.output_dir) / f"{name}.safetensors"
    write_atomically(path, lora_bytes(LAYERS, {"ss_output_name": job.save.output_name}))
    epoch = math.ceil(step / STEPS_PER_EPOCH)
    events.write("saved", {"path": str(path), "name": name, "step": step, "epoch": epoch, "final": final})
    if job.sample.sample_by == "webui" and (run.path / STRIP_FILE).exists():
        return
    run.samples.mkdir(exist_ok=True)
    for index, prompt in enumerate(job.sample.sample_prompts):
        file = run.samples / f"{step:06d}-{index}.png"
        Image.new("RGB", (64, 64), (40 * index % 256, step * 5 % 256, 120)).save(file)
        events.write("sample", {"path": f"samples/{file.name}", "step": step, "epoch": epoch, "prompt": prompt,
                                "index": index})


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
