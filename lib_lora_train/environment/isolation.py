"""Limits the imports of the worker process: its own packages, and from the interpreter only torch and its requirements.

The webui's site-packages hold other versions of optional dependencies of diffusers and transformers (peft, xformers,
torchvision, bitsandbytes, …), which these import if they find them. Training would then depend on what else was
installed into the webui, so these packages are hidden from the worker.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType

from ..errors import WorkerEnvironmentError

# Beside torch and numpy: what torch uses without declaring it as a requirement.
_SHARED_ROOTS = ("torch", "numpy", "setuptools", "triton", "triton-windows", "pytorch-triton-rocm")
# pip has the only TOML parser of Python 3.10.
_SHARED_MODULES = frozenset({"_distutils_hack", "pkg_resources", "pip"})
_REQUIREMENT_NAME = re.compile(r"^[\w.-]+")


class WorkerPathFinder:
    """Works like ``PathFinder``, but outside ``own_folders`` finds only the standard library and shared packages.

    ``sys.path`` stays unchanged, since torch searches it for its libraries.
    """

    def __init__(self, own_folders: Sequence[str], shared_distributions: Iterable[str],
                 shared_modules: Iterable[str]) -> None:
        self.own_folders = list(own_folders)
        self.shared_distributions = frozenset(shared_distributions)
        self.shared_modules = frozenset(shared_modules) | sys.stdlib_module_names

    def find_spec(self, fullname: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module, as a ``sys.meta_path`` finder does; ``path`` is its package's, None at the top level."""
        if path is None and not self._is_shared(fullname):
            path = self._own_path()
        return PathFinder.find_spec(fullname, path, target)

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:
        """Find packages by their metadata for ``importlib.metadata``, with the same filter as for modules."""
        context = context or DistributionFinder.Context()
        if "path" in vars(context):
            yield from PathFinder.find_distributions(context)
            return
        own = DistributionFinder.Context(name=context.name, path=self.own_folders)
        yield from PathFinder.find_distributions(own)
        for distribution in PathFinder.find_distributions(context):
            if _normalised(distribution.metadata["Name"] or "") in self.shared_distributions:
                yield distribution

    def invalidate_caches(self) -> None:
        """Clear cached folder listings for ``importlib.invalidate_caches``."""
        PathFinder.invalidate_caches()

    def _own_path(self) -> list[str]:
        """Return the own folders, preceded by folders inside them on ``sys.path``, as OpenCV adds while loading."""
        return [*(entry for entry in sys.path if str(Path(entry).parent) in self.own_folders), *self.own_folders]

    def _is_shared(self, fullname: str) -> bool:
        top = fullname.partition(".")[0]
        return top in self.shared_modules or top.startswith("_sysconfigdata")


def isolate(own_folders: Sequence[Path]) -> None:
    """Put ``own_folders`` first on ``sys.path`` and hide all other packages but torch, numpy and their requirements.

    Raises ``WorkerEnvironmentError`` if the interpreter has no metadata of its torch or numpy.
    """
    if any(isinstance(finder, WorkerPathFinder) for finder in sys.meta_path):
        return
    distributions, modules = _torch_and_its_requirements()
    own = [str(folder) for folder in own_folders]
    sys.path[:] = own + [entry for entry in sys.path if entry not in own]
    finder = WorkerPathFinder(own, distributions, modules)
    sys.meta_path[sys.meta_path.index(PathFinder)] = finder
    _forget_preloaded_namespaces(finder)


def _torch_and_its_requirements() -> tuple[set[str], set[str]]:
    """Return the names of the packages, and of their modules, that are shared from the interpreter."""
    distributions: set[str] = set()
    modules: set[str] = set(_SHARED_MODULES)
    pending = list(_SHARED_ROOTS)
    while pending:
        name = _normalised(pending.pop())
        if name in distributions:
            continue
        found = next(iter(PathFinder.find_distributions(DistributionFinder.Context(name=name))), None)
        if found is None:
            continue
        distributions.add(name)
        modules.update(_top_level_modules(found), {name.replace("-", "_")})
        pending += [_REQUIREMENT_NAME.findall(line)[0] for line in found.requires or [] if "extra ==" not in line]
    for needed in ("torch", "numpy"):
        if needed not in distributions:
            raise WorkerEnvironmentError(f"The Python {sys.executable} has no {needed} that pip knows of. "
                                         f"Install {needed} in it, or use the Python of your webui.")
    return distributions, modules


def _top_level_modules(distribution: Distribution) -> set[str]:
    listed = distribution.read_text("top_level.txt")
    if listed:
        return set(listed.split())
    record = distribution.read_text("RECORD") or ""
    return {re.split(r"[/\\,.]", line, maxsplit=1)[0] for line in record.splitlines()}


def _forget_preloaded_namespaces(finder: WorkerPathFinder) -> None:
    """Drop namespace packages preloaded by .pth files; an old protobuf binds ``google`` to its own folder this way."""
    for name, module in list(sys.modules.items()):
        is_namespace = hasattr(module, "__path__") and getattr(module, "__file__", None) is None
        if is_namespace and name.partition(".")[0] not in finder.shared_modules:
            del sys.modules[name]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
