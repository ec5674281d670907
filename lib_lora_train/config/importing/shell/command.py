"""Parses the training command of a script or a pasted command line into options."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ....errors import ConfigError
from ..option_table import FLAGS, KNOWN, LISTS, NOT_NEEDED, TRAIN_COMMAND_OPTIONS
from ..taking import Option, Options, Taking
from .script import Followed, follow
from .variables import Text

_SCRIPT = re.compile(r"(?:^|[\\/])(?P<name>\w+)\.py$")
_LORA_SCRIPTS = ("train_network", "sdxl_train_network")
_OTHER_MODELS = ("flux", "sd3", "lumina", "hunyuan", "anima", "stable_cascade", "hv_", "wan_", "qwen", "zimage")
_OPTION = re.compile(r"--(?P<name>[A-Za-z][\w-]*)(?:=(?P<value>.*))?", re.DOTALL)
_FEWEST = 2
_ACCELERATE = "It is for accelerate, which starts sd-scripts; training here starts by itself."


def looks_like_command(text: str) -> bool:
    """Whether ``text`` contains an sd-scripts training command."""
    code = re.sub(r"^[ \t]*(#|rem\s|::).*$", "", text, flags=re.MULTILINE | re.IGNORECASE)
    return any(re.search(rf"--{name}\b", code) for name in TRAIN_COMMAND_OPTIONS)


def read_script(text: str, taking: Taking) -> tuple[Options, bool]:
    """The options of the training command in ``text``, and whether it is for SDXL.

    Reports anything that is not an sd-scripts option. Raises ``ConfigError`` if there is no training command, or it
    trains an unsupported model.
    """
    followed = follow(text)
    commands = _training_commands(followed)
    if not commands:
        raise ConfigError("There is no training command of sd-scripts in the text. It has options such as "
                          "--network_module and --train_data_dir.")
    for word in followed.undecided:
        taking.drop(Option(word, ""), "It depends on a condition that cannot be worked out from the script alone.")
    if len(commands) > 1:
        taking.drop(Option("second command", commands[1][0].text),
                    f"The script has {len(commands)} training commands; the first one is read.")
    return _read_command(commands[0], taking)


def read_options(text: str, taking: Taking) -> Options:
    """The options in ``text``, such as the GUI's additional parameters."""
    followed = follow(text)
    return _options([word for command in followed.commands for word in command], taking)


def _training_commands(followed: Followed) -> list[list[Text]]:
    found = [command for command in followed.commands if _is_training(command)]
    if found:
        return found
    kept = [text for text in followed.texts if looks_like_command(text)]
    return [command for text in kept for command in follow(text).commands if _is_training(command)]


def _is_training(command: Sequence[Text]) -> bool:
    names = {match["name"] for word in command if (match := _OPTION.fullmatch(word.text))}
    return len(names & TRAIN_COMMAND_OPTIONS) >= _FEWEST or any(
        (match := _SCRIPT.search(word.text)) and match["name"].endswith("train_network") for word in command)


def _read_command(command: list[Text], taking: Taking) -> tuple[Options, bool]:
    place = next((at for at, word in enumerate(command) if (not word.text.startswith("--") and
                  (match := _SCRIPT.search(word.text)) and "train" in match["name"]) or word.text.endswith(
                      "fine_tune.py")), None)
    if place is None:
        start = next(at for at, word in enumerate(command) if word.text.startswith("--"))
        return _options(command[start:], taking), False
    script = command[place].text.replace("\\", "/").rsplit("/", 1)[-1]
    name = script.removesuffix(".py")
    if name.startswith(_OTHER_MODELS):
        raise ConfigError(f"The command starts {script}, which trains another kind of model. Here SD 1.x, SD 2.x and "
                          "SDXL are trained: train_network.py and sdxl_train_network.py.")
    if name not in _LORA_SCRIPTS:
        taking.drop(Option("script", script), f"{script} trains no LoRA. The settings that LoRA training has too are "
                                              "taken.")
    for option in _options(command[:place], taking).values():
        taking.not_needed(option, NOT_NEEDED.get(option.shown.lstrip("-"), _ACCELERATE))
    return _options(command[place + 1:], taking), name.startswith("sdxl")


def _options(words: Sequence[Text], taking: Taking) -> Options:
    """The options among ``words``; the last of two with the same name wins, as in sd-scripts."""
    options: Options = {}
    place = 0
    while place < len(words):
        word = words[place]
        match = _OPTION.fullmatch(word.text)
        place += 1
        if match is None:
            if word.text.startswith("--") or (options and word.text.strip()):
                taking.not_known(Option(word.text, ""))
            continue
        name = _full_name(match["name"])
        values = [] if match["value"] is None else [Text(match["value"], word.unset)]
        if match["value"] is None and name not in FLAGS:
            most = None if name in LISTS else 1
            while place < len(words) and not words[place].text.startswith("--") and (most is None or len(
                    values) < most):
                values.append(words[place])
                place += 1
        _keep(name, match["name"], values, options, taking)
    return options


def _keep(name: str, written: str, values: Sequence[Text], options: Options, taking: Taking) -> None:
    unset = tuple(dict.fromkeys(name for value in values for name in value.unset))
    texts = [value.text for value in values]
    value = texts if name in LISTS else (texts[0] if texts else True)
    option = Option(f"--{written}", value)
    if name in options:
        taking.not_needed(options[name], "The option is given again after it, and the last one counts.")
        del options[name]
    if unset:
        taking.drop(option, f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set in the script, and "
                            "variables of the system are not read. Write the value in.")
    else:
        options[name] = option


def _full_name(written: str) -> str:
    """The only option that begins with ``written``, if unique, as in sd-scripts' parser."""
    name = written.replace("-", "_")
    if name in KNOWN:
        return name
    longer = [one for one in KNOWN if one.startswith(name)]
    return longer[0] if len(longer) == 1 else name
