"""Writes worker_requirements/hashes.txt: the wheels of every pinned version and their SHA-256, as pip's index has them.

Run after a change of pins.txt, then read the difference before it is committed::

    python tests/make_hashes.py

Kept are wheels for Python 3.10 to 3.12 on the systems that torch has builds for. Of packages that are only published
as source, ``worker_requirements/wheels`` holds a wheel that was built once.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pip._internal.commands import create_command
from pip._internal.index.collector import LinkCollector, parse_links
from pip._vendor.packaging.tags import Tag
from pip._vendor.packaging.utils import InvalidWheelFilename, parse_wheel_filename
from pip._vendor.packaging.version import Version

REQUIREMENTS = Path(__file__).resolve().parents[1] / "lib_lora_train" / "worker_requirements"
PINS, HASHES, WHEELS = REQUIREMENTS / "pins.txt", REQUIREMENTS / "hashes.txt", REQUIREMENTS / "wheels"
PYTHONS = ("py3", "cp310", "cp311", "cp312")
SYSTEMS = re.compile(r"any|win_(amd64|arm64)|manylinux\w*_(x86_64|aarch64)|macosx_\w+")
# CPU builds of torch are not on the index that pip asks; these were at hand, others are not known here
BESIDE_THE_INDEX = {"torch==2.13.0+cpu": {
    "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl":
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}}
HEADER = """# The files that may be installed for each pin, with their SHA-256; written by tests/make_hashes.py.
# pip refuses a file that is not listed here.
"""


def main() -> None:
    """Write the file anew. Raises ``SystemExit`` if there is no wheel of a pin."""
    pinned = re.findall(r"^[\w.-]+==[\w.]+", PINS.read_text(encoding="utf-8"), re.MULTILINE)
    pins = sorted({*pinned, *BESIDE_THE_INDEX}, key=str.lower)
    lines = []
    for pin in pins:
        found = BESIDE_THE_INDEX.get(pin) or vendored(pin) or dict(published(pin))
        if not found:
            sys.exit(f"There is no wheel of {pin}. Build one, put it into {WHEELS}, and keep its licence in it.")
        lines += [pin, *(f"    {digest}  {name}" for name, digest in sorted(found.items()))]
    HASHES.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


def vendored(pin: str) -> dict[str, str]:
    """The wheel of ``pin`` that is kept here."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in WHEELS.glob("*.whl")
            if is_wanted(file.name, pin)}


def published(pin: str) -> Iterator[tuple[str, str]]:
    """Names and hashes of the wheels of ``pin`` on the index that pip is set to."""
    command = create_command("index")
    options, _ = command.parse_args(["versions", "any"])
    with command.main_context():
        collector = LinkCollector.create(command._build_session(options), options=options)
        sources = collector.collect_sources(pin.partition("==")[0], candidates_from_page=lambda link: [])
        for source in sources.index_urls:
            page = collector.fetch_response(source.link) if source is not None and source.link else None
            for link in parse_links(page) if page is not None else ():
                if link.hash_name == "sha256" and link.hash and is_wanted(link.filename, pin):
                    yield link.filename, link.hash


def is_wanted(filename: str, pin: str) -> bool:
    """Whether ``filename`` is a wheel of ``pin`` for a Python and a system that are supported."""
    name, _, version = pin.partition("==")
    try:
        found, found_version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    same = found == re.sub(r"[-_.]+", "-", name).lower() and found_version == Version(version)
    return same and any(_fits(tag) for tag in tags)


def _fits(tag: Tag) -> bool:
    number = re.fullmatch(r"cp3(\d+)", tag.interpreter)
    by_abi3 = tag.abi == "abi3" and number is not None and int(number[1]) <= 12
    fits = by_abi3 or (tag.interpreter in PYTHONS and tag.abi in ("none", tag.interpreter))
    return fits and SYSTEMS.fullmatch(tag.platform) is not None


if __name__ == "__main__":
    main()
