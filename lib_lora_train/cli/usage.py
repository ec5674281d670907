"""The syntax of the command line. Standard library only: help and usage errors need no environment."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import ConfigError

EXPORT_FORMATS = ("sd-scripts", "powershell", "toml", "yaml")
_SETTING_WORDS = "group.setting=value; overrides the file"


TOOL_WORDS = {
    "extract": ("Makes a LoRA of the difference of two checkpoints.",
                "org=BASE tuned=TUNED network_dim=64 output_name=NAME [JOB.yaml] [--runs RUNS]"),
    "merge": ("Merges LoRAs into a copy of a checkpoint.",
              "checkpoint=FILE loras=[A,B] [strengths=[0.8,1:0.5]] output_name=NAME [JOB.yaml] [--runs RUNS]"),
    "mix": ("Makes one LoRA of several.",
            "loras=[A,B] [strengths=[0.8,0.5]] [network_dim=32] output_name=NAME [JOB.yaml] [--runs RUNS]"),
    "resize": ("Changes the rank of a LoRA.",
               "lora=FILE network_dim=16 output_name=NAME [JOB.yaml] [--runs RUNS]"),
    "inspect": ("Says what is in a LoRA file.", "[--json] FILE")}
"""What each tool does, and its usage."""


def check_arguments(arguments: Sequence[str]) -> None:
    """Print help or a usage error and exit if ``arguments`` call for it; otherwise return.

    Raises ``ConfigError`` if there is no such command.
    """
    options_of(arguments[0], arguments[1:])


def options_of(command: str, arguments: Sequence[str]) -> Namespace:
    """Return the options of ``command``, in any order. Raises ``ConfigError`` if there is no such command."""
    if command not in PARSERS:
        raise ConfigError(f"There is no command {command!r}. There are: {', '.join(PARSERS)}.")
    parser = PARSERS[command]()
    options = parser.parse_intermixed_args(list(arguments))
    if command in TOOL_WORDS:
        options.job, options.settings = _tool_job_and_settings(command, options.words, parser)
    elif command == "diagnose":
        options.run, options.settings = _job_and_settings(options.words, parser, "run folder", "key=value")
    elif command == "bases":
        options.paths = [word for word in options.words if not word.startswith("cache=")]
        options.settings = [word for word in options.words if word.startswith("cache=")]
    elif hasattr(options, "words"):
        options.job, options.settings = _job_and_settings(options.words, parser)
    return options


def _job_and_settings(words: Sequence[str], parser: ArgumentParser, what: str = "job file",
                      settings: str = "group.setting=value") -> tuple[Path, list[str]]:
    """Return the job file among ``words``, and the settings, which are the words with an equals sign."""
    files = [word for word in words if "=" not in word or Path(word).is_file()]
    if len(files) != 1:
        named = f"{len(files)} are named: {' '.join(files)}" if files else "none is named"
        parser.error(f"one {what} is needed, and {named}. Write settings as {settings}")
    return Path(files[0]), [word for word in words if word != files[0]]


def _tool_job_and_settings(command: str, words: Sequence[str], parser: ArgumentParser) -> tuple[Path | None, list[str]]:
    """Return the job file among ``words``, if any, and the settings; ``inspect`` also accepts the LoRA file itself."""
    files = [word for word in words if "=" not in word or Path(word).is_file()]
    settings = [word for word in words if word not in files]
    if len(files) > 1:
        parser.error(f"at most one job file can be given, and {len(files)} are named: {' '.join(files)}. Write "
                     "settings as key=value, lists as loras=[a.safetensors,b.safetensors]")
    if files and command == "inspect" and Path(files[0]).suffix.lower() not in (".yaml", ".yml"):
        return None, [*settings, f"lora={files[0]}"]
    if not words:
        parser.error("settings are missing. Write them as key=value, or name a YAML file of them")
    return (Path(files[0]) if files else None), settings


def _train() -> ArgumentParser:
    parser = _of_job("train", "Trains a LoRA as a job file says.", "job file", "[--check] ")
    parser.add_argument("--check", action="store_true", help="only report what the job would do")
    return parser


def _tag() -> ArgumentParser:
    return _of_job("tag", "Captions the images of a folder with a tagger, as a tag job says.", "tag job")


def _mask() -> ArgumentParser:
    return _of_job("mask", "Makes masks for the images of a folder, as a mask job says.", "mask job")


def _knows() -> ArgumentParser:
    return _of_job("knows", "Checks what the checkpoint of a job knows of its images, words and tags already.",
                   "job file of a training, or of a check")


def _of_job(command: str, description: str, job: str, options: str = "") -> ArgumentParser:
    """The parser of a command that carries out one job file in a run folder."""
    parser = ArgumentParser(command, description=description,
                            usage=f"{command} [-h] [--runs RUNS] {options}JOB.yaml [group.setting=value ...]")
    parser.add_argument("words", nargs="+", metavar="JOB.yaml", help=f"the {job}; inside a run folder, that run is "
                                                                    f"started or resumed. {_SETTING_WORDS}")
    _add_runs(parser)
    return parser


def _diagnose() -> ArgumentParser:
    parser = ArgumentParser("diagnose", description="Measures the saved files of a run: the loss on images that the "
                                                    "LoRA was not trained on, and how far it changes other prompts. "
                                                    "Proposes an epoch and a strength.",
                            usage="diagnose [-h] [--runs RUNS] RUN [validation_data_dir=FOLDER] [images=12] ...")
    parser.add_argument("words", nargs="+", metavar="RUN", help="the folder of the run. key=value: "
                        "validation_data_dir, train_data_dir, checkpoint, images, device")
    _add_runs(parser)
    return parser


def _settings() -> ArgumentParser:
    parser = ArgumentParser("settings", description="Prints a job file with every setting explained, to start from.")
    parser.add_argument("kind", nargs="?", choices=("train", "tag", "mask", "knows", *TOOL_WORDS), default="train",
                        help="of which job")
    parser.add_argument("--markdown", action="store_true", help="as the table in docs/settings.md")
    return parser


def _plan() -> ArgumentParser:
    parser = ArgumentParser("plan", description="Prints a job file for a goal, with the reason and source of each "
                                                "value. Without answers it prints the questions.",
                            usage="plan [-h] [--markdown] [kind=character category=C images=40 family=SDXL ...]")
    parser.add_argument("answers", nargs="*", metavar="name=value", help="answers, such as matters=[likeness,clothes]")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/goals.md")
    return parser


def _bake() -> ArgumentParser:
    parser = ArgumentParser("bake", description="Writes a copy of a LoRA file with block weights applied, as "
                                                 "a bake job says.")
    parser.add_argument("job", type=Path, help="the bake job, a YAML file: lora, blocks and output_name; inside a run "
                                               "folder, its events are written there")
    return parser


def _import() -> ArgumentParser:
    parser = ArgumentParser("import", description="Reads the settings of another program and prints them as a job; "
                                                   "what became of each option is reported on standard error.")
    parser.add_argument("file", help="a script or command line of sd-scripts, a TOML or JSON of sd-scripts, kohya_ss, "
                                     "OneTrainer or LoRA_Easy_Training_Scripts, or a LoRA file; - for standard input")
    return parser


def _export() -> ArgumentParser:
    parser = ArgumentParser("export", description="Prints a job as settings for another program; what cannot be "
                                                  "expressed there is reported on standard error.",
                            usage="export [-h] [--as FORMAT] [--files FOLDER] JOB.yaml [group.setting=value ...]")
    parser.add_argument("words", nargs="+", metavar="JOB.yaml", help=f"the job file. {_SETTING_WORDS}")
    parser.add_argument("--as", dest="wanted", default="sd-scripts", choices=EXPORT_FORMATS,
                        help="a command line for bash (%(default)s) or PowerShell, a --config_file, or a whole job")
    parser.add_argument("--files", type=Path, metavar="FOLDER",
                        help="write the dataset configuration, if one is needed, into this folder instead of printing "
                             "it on standard error")
    return parser


def _bases() -> ArgumentParser:
    parser = ArgumentParser("bases", description="Compares checkpoints by their weights, names and metadata: which are "
                                                 "near each other, which are merges, and which captions they expect.",
                            usage="bases [-h] [--json] [--runs RUNS] CHECKPOINT_OR_FOLDER ... [cache=FOLDER]")
    parser.add_argument("words", nargs="+", metavar="PATH", help="checkpoints, and folders of checkpoints; or the job "
                                                                 "file of a comparison. cache=FOLDER keeps what was "
                                                                 "read of each file")
    parser.add_argument("--json", action="store_true", help="print everything, as JSON")
    _add_runs(parser)
    return parser


def _tool(command: str) -> Callable[[], ArgumentParser]:
    what, example = TOOL_WORDS[command]

    def make() -> ArgumentParser:
        parser = ArgumentParser(command, description=f"{what} `settings {command}` prints every setting explained.",
                                usage=f"{command} [-h] {example}")
        parser.add_argument("words", nargs="*", metavar="key=value", help="settings; or a YAML file of them, which "
                                                                          "they override")
        if command == "inspect":
            parser.add_argument("--json", action="store_true", help="print everything, as JSON")
        else:
            _add_runs(parser)
        return parser

    return make


def _demo() -> ArgumentParser:
    parser = ArgumentParser("demo", description="Trains a small LoRA on the images in demo/ with the mini "
                                                 "checkpoint, and generates samples.")
    parser.add_argument("settings", nargs="*", help="group.setting=value; overrides demo/job.yaml")
    _add_runs(parser)
    return parser


def _install() -> ArgumentParser:
    return ArgumentParser("install", description="Makes the worker's environment, or repairs it.")


def _add_runs(parser: ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the run's folder is made (%(default)s)")


PARSERS: dict[str, Callable[[], ArgumentParser]] = {
    "train": _train, "tag": _tag, "mask": _mask, "knows": _knows, "settings": _settings, "plan": _plan, "bake": _bake,
    "import": _import, "export": _export, "diagnose": _diagnose, "demo": _demo, "install": _install,
    "bases": _bases, **{command: _tool(command) for command in TOOL_WORDS}}
"""The parser of each command."""
