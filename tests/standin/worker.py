"""A worker that goes through the motions of training in a second, for tests of what is around it.

It reads the job, writes the events, samples and LoRA files of a real run, and obeys pause and stop. It learns nothing.
``STANDIN_STEP_SECONDS`` is the time of a step, ``STANDIN_FAILS_AT_STEP`` where it breaks off with an error.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
from pathlib import Path

from PIL import Image

from lib_lora_train.config.load import load_job
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.files import write_atomically
from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.runs.process import remember_process

STEPS_PER_EPOCH = 10


def main(job_file: Path) -> None:
    """Go through the run of ``job_file``."""
    run = RunFolder(job_file.parent)
    job = load_job(job_file)
    remember_process(run)
    pause = float(os.environ.get("STANDIN_STEP_SECONDS", "0.02"))
    fails_at = int(os.environ.get("STANDIN_FAILS_AT_STEP", "0"))
    epochs = job.training.max_train_epochs or 1
    total = job.training.max_train_steps or epochs * STEPS_PER_EPOCH
    began = time.time()
    with EventWriter(run.events_file) as events:
        events.write("phase", {"name": "latents", "text": "Encoding the pictures"})
        for done in range(1, 6):
            events.write("progress", {"done": done, "total": 5, "seconds_left": (5 - done) * pause})
        events.write("phase", {"name": "training", "text": "Training"})
        for step in range(1, total + 1):
            if step == fails_at:
                events.write("error", {"text": f"The disk was full at step {step}. Free some space.", "detail": ""})
                return
            if obey(run, events):
                save(run, events, job, job.save.output_name, step, final=True)
                events.write("stopped", {"steps": step, "seconds": time.time() - began})
                return
            epoch = (step - 1) // STEPS_PER_EPOCH + 1
            loss = 0.1 + 0.1 * math.exp(-step / 20) + 0.02 * math.sin(step * 2.3)
            events.write("step", {"step": step, "total_steps": total, "epoch": epoch, "loss": loss,
                                  "lr_unet": 1e-4, "lr_text_encoder": 5e-5, "seconds_per_step": pause,
                                  "seconds_left": (total - step) * pause})
            print(f"step {step} of {total}, loss {loss:.4f}", flush=True)
            if step % STEPS_PER_EPOCH == 0:
                events.write("epoch", {"epoch": epoch, "total_epochs": epochs, "loss": loss})
                if step < total:
                    save(run, events, job, f"{job.save.output_name}-{epoch:06d}", step, final=False)
            time.sleep(pause)
        save(run, events, job, job.save.output_name, total, final=True)
        events.write("finished", {"steps": total, "seconds": time.time() - began})


def obey(run: RunFolder, events: EventWriter) -> bool:
    """Wait while pause is asked for; ``True`` if the run has to stop."""
    if run.control.asked("pause"):
        events.write("paused")
        while run.control.asked("pause") and not run.control.asked("stop"):
            time.sleep(0.02)
        events.write("resumed")
    return run.control.asked("stop")


def save(run: RunFolder, events: EventWriter, job, name: str, step: int, *, final: bool) -> None:
    """Write a LoRA file without tensors, and a sample for each prompt."""
    header = json.dumps({"__metadata__": {"ss_output_name": job.save.output_name}}).encode()
    path = Path(job.save.output_dir) / f"{name}.safetensors"
    write_atomically(path, struct.pack("<Q", len(header)) + header)
    epoch = math.ceil(step / STEPS_PER_EPOCH)
    events.write("saved", {"path": str(path), "name": name, "step": step, "epoch": epoch, "final": final})
    run.samples.mkdir(exist_ok=True)
    for index, prompt in enumerate(job.sample.sample_prompts):
        file = run.samples / f"{step:06d}-{index}.png"
        Image.new("RGB", (64, 64), (40 * index % 256, step * 5 % 256, 120)).save(file)
        events.write("sample", {"path": f"samples/{file.name}", "step": step, "epoch": epoch, "prompt": prompt,
                                "index": index})


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
