"""The test command: makes what the tests need and runs the linter, the type checker and every test.

    python tests/run.py                   everything, each part as soon as what it needs is installed
    python tests/run.py worker -k resume  only one part, with arguments for pytest
    python tests/run.py tests/training/test_loss.py::test_x [more for pytest]   only that, in the part it belongs to
    parts: lint, training (training runs), families (every family of models), sweep (of all settings), lending (the
           webui's model, and the benchmarks), worker (all else but the tab), environment (the worker's packages),
           captions (the caption editor), kills (a process is killed at each file operation), host (the tab), browser
           (the tab in a real browser), editor (the caption editor there), figures (what is generated, all of it and
           not a share; about an hour)

Nothing outside the checkout is changed, but for Debian's headless Chromium, which is installed if there is no Chromium.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
sys.path.insert(0, str(ROOT))

from lib_lora_train.environment import make_virtual_environment  # noqa: E402
from lib_lora_train.environment.interpreter import own_environment  # noqa: E402

ENVIRONMENT_TESTS = ("environment",)
WORKER_TESTS = ("architecture", "files", "config", "blocks", "runs", "advice", "pictures", "batches", "models",
                "networks", "tools", "tagging", "cli", "demo", "make_mini", "diagnosis")
LENDING_TESTS = ("lending", "benchmarks")
TRAINING_TESTS = ("training",)
SWEEP = ("training/test_no_silent_setting.py",)
FAMILIES = ("training/test_family_table.py", "training/test_family_blocks.py")
"""Parts of their own, as the sweep and lending are: a part runs on one core, and would end long after all others."""
CAPTION_TESTS = ("captions",)
KILLS = ("captions/test_every_kill.py", "captions/test_kill.py")
WORKER_KILLS = ("files/test_safetensors_metadata.py", "runs/test_queue_crash.py", "tagging/test_every_kill.py",
                "tagging/test_full_disk.py")
"""They fork at each kill, which takes longer the more is in memory: with gradio twice as long as without it."""
HOST_TESTS = ("host", "ui")
TWICE = {
    "config/test_load.py": "OmegaConf 2.2 and 2.3 convert and refuse values in different ways",
    "config/test_text.py": "OmegaConf 2.2 and 2.3 read text like 1e5, [a] or ${a} in different ways",
    "runs/test_runs.py": "psutil 5.9 and 7 tell when a process began in different ways",
    "pictures/test_hostile.py": "each Pillow has its own decoders, limits and faults",
    "pictures/test_images.py": "each Pillow has its own decoders, and EXIF and colour profiles in different ways",
    "pictures/test_scan.py": "each Pillow tells damaged files in its own way",
}
"""Tests of the worker's that run with the webui's pins too, with what differs there; no others depend on them."""
BROWSER_TESTS = ("browser",)
WAITS = "browser"
"""The part that keeps half a core busy at most, and lasts longest."""
EDITOR = ("browser/captions",)
"""A part of its own: a page waits as often as it works, so two of them keep a core busy."""
PIP = "pip==26.3"
"""Installs the webui's pins in 20 seconds of a core; the one that comes with Python 3.11.7 took 37."""
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
"""The first is Chromium without windows, profiles and the like, which take half of the processor time of a page."""

_WORKER_PYTEST = """
import os
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from lib_lora_train.environment.interpreter import ready_optional_folders
from lib_lora_train.environment.isolation import isolate
folders = [*map(str, ready_optional_folders()), {base!r}, {tools!r}, {root!r}]
isolate([Path(folder) for folder in folders])
if {children_see_packages}:
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def main(arguments: Sequence[str]) -> int:
    parts: dict[str, Callable[[Sequence[str]], int]] = {
        "lint": lint, "worker": worker, "environment": environment, "training": training, "families": families,
        "sweep": sweep, "lending": lending, "captions": captions, "kills": kills, "host": host, "editor": editor,
        "browser": browser, "figures": figures}
    # pip would compile 11,000 files, in 25 seconds of a core; 3,800 are imported, in 8. To pip, 0 means not to compile
    os.environ.setdefault("PIP_NO_COMPILE", "0")
    started, results = time.monotonic(), {}
    if arguments and arguments[0] in parts:
        results[arguments[0]] = parts[arguments[0]](arguments[1:])
    elif arguments and (ROOT / arguments[0].partition("::")[0]).exists():
        results[arguments[0]] = chosen_tests(arguments)
    else:
        results = everything(arguments)
    failed = [name for name, status in results.items() if status]
    say(f"== {'failed: ' + ', '.join(failed) if failed else 'all passed'} in {time_since(started)} ==")
    return 1 if failed else 0


def figures(arguments: Sequence[str]) -> int:
    """Try everything that the ordinary tests try a share of, and print how much that was and how much failed."""
    from tests.figures import FILE, TESTS, table

    os.environ["TRAIN_LORA_FULL"] = "1"
    FILE.unlink(missing_ok=True)
    paths = {part: [str(ROOT / "tests" / name) for name in names] for part, names in TESTS.items()}
    calls: list[Callable[[], int]] = [lambda: run([host_environment(), "-m", "pytest", *paths["host"], *arguments])]
    worker_tools()  # installs once, before two ask for it
    calls += [partial(with_the_workers_packages, (), [*paths[part], *arguments],
                      children_see_packages=part != "environment") for part in ("worker", "environment")]
    with ThreadPoolExecutor(len(calls)) as pool:
        status = max(pool.map(lambda call: call(), calls))
    say(table())
    return status


def time_since(started: float) -> str:
    """The time since ``started``, and how long this process's children kept a core busy (not known on Windows)."""
    times = os.times()
    busy = times.children_user + times.children_system
    return f"{(time.monotonic() - started) / 60:.1f} minutes" + (f", {busy:.0f} s of a core" if busy else "")


def chosen_tests(arguments: Sequence[str]) -> int:
    """Run the tests of one path where they belong; rooms that are tested in both environments, in the worker's."""
    room = Path(arguments[0].partition("::")[0]).resolve().relative_to(ROOT / "tests").parts[0]
    if room in CAPTION_TESTS + HOST_TESTS + BROWSER_TESTS:
        if room in BROWSER_TESTS:
            ensure_chromium()
            worker_environment()
        page_tools()
        return run([host_environment(), "-m", "pytest", *arguments])
    return with_the_workers_packages((), arguments, children_see_packages=room not in ENVIRONMENT_TESTS)


def everything(arguments: Sequence[str]) -> dict[str, int]:
    """Every part, the next one as soon as a core is free and what it needs is there.

    The tab's tests run while the worker's packages are being installed. One part more than there are cores, since they
    wait now and then, and one beside ``WAITS``; more of them would only push each other out of the caches.
    """
    CACHE.mkdir(exist_ok=True)
    left: dict[str, tuple[Callable[[], object], ...]] = {  # the longest first, so that none is left over at the end
        "browser": (page_tools, worker_tools, ensure_chromium), "worker": (worker_tools,), "training": (worker_tools,),
        "host": (page_tools,), "lending": (worker_tools,), "editor": (page_tools, worker_tools, ensure_chromium),
        "sweep": (worker_tools,), "families": (worker_tools,), "environment": (worker_tools,),
        "captions": (page_tools,), "lint": (page_tools, worker_tools), "kills": (page_tools, worker_tools)}
    at_once, results, parts = (os.cpu_count() or 1) + 1, dict[str, int](), dict[Future[int], str]()
    with ThreadPoolExecutor(3) as installing, ThreadPoolExecutor(at_once + 1) as pool:
        made = {make: installing.submit(make) for make in (page_tools, worker_tools, ensure_chromium)}
        while left or parts:
            for name in [name for name, needs in left.items() if all(made[need].done() for need in needs)]:
                if len(parts) < at_once + (WAITS in (name, *parts.values())):
                    needs = [made[need] for need in left.pop(name)]
                    parts[pool.submit(logged, name, needs, arguments)] = name
            waiting = [one for one in made.values() if not one.done()] if left else []
            for part in wait([*parts, *waiting], return_when=FIRST_COMPLETED).done & parts.keys():
                name = parts.pop(part)
                results[name] = part.result()
                say(f"\n== {name} ==\n{(CACHE / f'{name}.log').read_text(errors='replace')}")
    return results


def logged(name: str, needs: Sequence[Future[object]], arguments: Sequence[str]) -> int:
    """Run the part ``name``, once what it needs is there, with its output in a file of its own."""
    for need in needs:
        need.result()
    say(f"{name} begins.")
    with (CACHE / f"{name}.log").open("wb") as log:
        return subprocess.run([sys.executable, __file__, name, *arguments], cwd=ROOT, stdout=log,
                              stderr=subprocess.STDOUT, check=False).returncode


def lint(_: Sequence[str]) -> int:
    host_python, worker_python = host_environment(), worker_environment()
    bin_folder = host_python.parent
    status = run([bin_folder / "ruff", "check", "."])
    status = run([bin_folder / "mypy", f"--python-executable={worker_python}"]) or status
    return page() or status


def page() -> int:
    """Check the page's modules (eslint, TypeScript) and run the tests of what needs no browser; node is a wheel."""
    node, tools = page_tools(), ROOT / "node_modules"
    status = run([node, tools / "eslint" / "bin" / "eslint.js", "."])
    status = run([node, tools / "typescript" / "bin" / "tsc", "-p", "javascript"]) or status
    tests = sorted((ROOT / "tests" / "javascript").rglob("*.test.js"))
    return run([node, "--test", "--test-isolation=none", *tests]) or status  # in one process


def page_tools() -> Path:
    """node, with what checks the page in ``node_modules``."""
    node = host_environment().with_name("node.exe" if sys.platform == "win32" else "node")
    stamp, lock = ROOT / "node_modules" / "installed.sha256", ROOT / "package-lock.json"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        say("Installing what checks the page.")
        run([node.with_name("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], must_work=True)
        stamp.write_text(digest)
    return node


def worker(arguments: Sequence[str]) -> int:
    return with_the_workers_packages(WORKER_TESTS, [*without(WORKER_KILLS), *arguments], children_see_packages=True)


def environment(arguments: Sequence[str]) -> int:
    # its tests are about what a child process sees, so nothing is put on its path for them
    return with_the_workers_packages(ENVIRONMENT_TESTS, arguments, children_see_packages=False)


def training(arguments: Sequence[str]) -> int:
    others = without((*SWEEP, *FAMILIES))
    return with_the_workers_packages(TRAINING_TESTS, [*others, *arguments], children_see_packages=True)


def families(arguments: Sequence[str]) -> int:
    return with_the_workers_packages(FAMILIES, arguments, children_see_packages=True)


def sweep(arguments: Sequence[str]) -> int:
    return with_the_workers_packages(SWEEP, arguments, children_see_packages=True)


def lending(arguments: Sequence[str]) -> int:
    return with_the_workers_packages(LENDING_TESTS, arguments, children_see_packages=True)


def with_the_workers_packages(tests: Sequence[str], arguments: Sequence[str], *, children_see_packages: bool) -> int:
    python = worker_environment()
    code = _WORKER_PYTEST.format(root=str(ROOT), base=str(check_in(python)), tools=str(worker_tools()),
                                 children_see_packages=children_see_packages)
    return run([python, "-c", code, *existing(tests), *arguments])


def worker_tools() -> Path:
    """The folder of what the tests of the worker need beside its own packages; optional optimizers are tested too."""
    python, tools = worker_environment(), CACHE / "worker-tools"
    fill(tools, ROOT / "tests" / "worker_requirements.txt",
         [python, "-m", "pip", "install", "-q", "--upgrade", "--target", tools])
    for group in ("bitsandbytes", "prodigy-plus"):
        run([python, ROOT / "install.py", "--add", group], must_work=True)
    return tools


def captions(arguments: Sequence[str]) -> int:
    return with_the_webuis_pins(CAPTION_TESTS, [*without(KILLS), *arguments])


def kills(arguments: Sequence[str]) -> int:
    status = with_the_webuis_pins(KILLS, arguments)
    return with_the_workers_packages(WORKER_KILLS, arguments, children_see_packages=True) or status


def host(arguments: Sequence[str]) -> int:
    page_tools()  # answers are compared with the page's types of them
    return with_the_webuis_pins([*HOST_TESTS, *TWICE], arguments)


def browser(arguments: Sequence[str]) -> int:
    return in_the_browser(BROWSER_TESTS, [*without(EDITOR), *arguments])


def editor(arguments: Sequence[str]) -> int:
    return in_the_browser(EDITOR, arguments)


def in_the_browser(tests: Sequence[str], arguments: Sequence[str]) -> int:
    ensure_chromium()
    worker_environment()  # some train for real
    return with_the_webuis_pins(tests, arguments)


def with_the_webuis_pins(tests: Sequence[str], arguments: Sequence[str]) -> int:
    return run([host_environment(), "-m", "pytest", *existing(tests), *arguments])


def worker_environment() -> Path:
    """The Python that the worker runs on where no webui lends its own, with the worker's packages in place."""
    python = make_virtual_environment(own_environment(), say)
    if not check_in(python).is_dir():
        run([python, ROOT / "install.py", "--repair"], must_work=True)
    return python


def check_in(python: Path) -> Path:
    """The folder of the worker's packages as ``python`` sees it."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lib_lora_train.environment import check; " \
           "state = check(); print(state.folder if state.ready else '/nowhere')"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def host_environment() -> Path:
    """A Python with the webui's pins, for the tab, and the checkers."""
    folder = CACHE / "host"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        say("Making an environment with the webui's pins.")
        venv.create(folder, with_pip=True)
        run([python, "-m", "pip", "install", "-q", PIP])  # if it fails, the one that is there only takes longer
    fill(folder, ROOT / "tests" / "host_requirements.txt", [python, "-m", "pip", "install", "-q"])
    return python


def fill(folder: Path, requirements: Path, pip: Sequence[object]) -> None:
    """Install ``requirements`` unless exactly these are in ``folder`` already."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return
    say(f"Installing {requirements.name}.")
    run([*pip, "-r", requirements], must_work=True)
    stamp.write_text(digest)


def ensure_chromium() -> None:
    if any(map(shutil.which, BROWSERS)):
        return
    say("Installing Chromium.")
    run(["apt-get", "update", "-q"], must_work=True)
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", BROWSERS[0], "fonts-noto-core"], must_work=True)


def without(names: Sequence[str]) -> list[str]:
    """pytest's arguments to leave out ``names``."""
    return [f"--ignore={ROOT / 'tests' / name}" for name in names]


def existing(names: Sequence[str]) -> list[Path]:
    return [ROOT / "tests" / name for name in names if (ROOT / "tests" / name).exists()]


def run(command: Sequence[object], *, must_work: bool = False) -> int:
    """Run ``command`` from the root and return its status; its Pythons store what they compile.

    A start of a worker would compile for 1.4 seconds what is not stored.
    """
    # Threads of processes side by side spin against each other: a training step beside one other process took 0.69 s
    # with two threads each, 0.15 s with one thread that waits without spinning.
    environment = {**os.environ, "LORA_TRAIN_TEST_CACHE": str(CACHE / "tests"), "HF_HUB_OFFLINE": "1",
                   "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    status = subprocess.run([str(word) for word in command], cwd=ROOT, env=environment, check=False).returncode
    if status and must_work:
        raise SystemExit(f"{' '.join(str(word) for word in command[:6])} … ended with {status}")
    return status


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
