"""``python -m lib_lora_train``: makes sure the worker's packages are there, then hands over to the command line."""

from __future__ import annotations

import sys

from .errors import TrainLoraError
from .files.writing import refused

SUMMARY = """\
Train LoRA {version}: trains LoRAs for the Stable Diffusion webui.

  python -m lib_lora_train train JOB.yaml [group.setting=value ...]   train a LoRA as the job file says
  python -m lib_lora_train train JOB.yaml --check                     only report what the job would do
  python -m lib_lora_train settings [tag|mask|…]                       print a job file with every setting explained
  python -m lib_lora_train plan kind=style images=200 > job.yaml      settings for what you want to train, with reasons
  python -m lib_lora_train tag JOB.yaml [group.setting=value ...]     caption a folder of pictures with a tagger
  python -m lib_lora_train mask JOB.yaml [group.setting=value ...]    make masks for a folder of images
  python -m lib_lora_train knows JOB.yaml [group.setting=value ...]   what the checkpoint knows before training
  python -m lib_lora_train bake JOB.yaml                              bake block weights into a copy of a LoRA file
  python -m lib_lora_train import FILE > job.yaml                     read the settings of another program
  python -m lib_lora_train export JOB.yaml --as sd-scripts            print a job as settings for another program
  python -m lib_lora_train extract org=BASE tuned=TUNED network_dim=64 output_name=NAME   the difference as a LoRA
  python -m lib_lora_train merge checkpoint=FILE loras=[A,B] output_name=NAME             LoRAs into a checkpoint
  python -m lib_lora_train mix loras=[A,B] output_name=NAME                               several LoRAs as one
  python -m lib_lora_train resize lora=FILE network_dim=16 output_name=NAME               a LoRA at another rank
  python -m lib_lora_train inspect FILE                               what is in a LoRA file
  python -m lib_lora_train bases FOLDER                               which checkpoints are near each other
  python -m lib_lora_train diagnose RUN [validation_data_dir=FOLDER]  which saved epoch of a run is best
  python -m lib_lora_train demo                                       train on the pictures in demo/, in minutes
  python -m lib_lora_train install                                    make or repair the worker's environment

Add --help to a command for its options. Every run leaves a folder with its log, samples and events.
Inside the webui, all of this is in the Train LoRA tab."""


def main(arguments: list[str]) -> int:
    """Run one command; returns the process's exit status: 0 done, 1 failed with a sentence, 2 wrong use."""
    from . import __version__

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(SUMMARY.format(version=__version__))
        return 0
    try:
        from .cli.usage import check_arguments
        from .environment import ensure_worker_interpreter

        check_arguments(arguments)  # before anything is installed
        ensure_worker_interpreter()
        from .cli import run_command

        return run_command(arguments)
    except TrainLoraError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        sentence = refused(problem, "A file of the run")
        if sentence is None:
            raise
        print(f"\n{sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
