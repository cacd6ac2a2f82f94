"""pyroute2's message codecs without the rest of pyroute2.

Owns how they are imported. `import pyroute2` loads asyncio, ssl and
multiprocessing and costs 160 ms, more than a whole ADD; its message codecs
alone, which are all that host.rtmessages needs, 23 ms; and without `logging`,
`socket`, `traceback` and `typing`, which they import for their error paths and
annotations, 10 ms (CPU time, Python 3.11, pyroute2 0.9.7). So while they load,
the package stands there without its __init__, and those modules that nobody has
loaded yet are replaced by stand-ins that load the real one when it is used.
Leaves nothing behind in sys.modules: whoever imports pyroute2 or logging
afterwards gets the real one. Not for programs with threads that import.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
else:
    ModuleType = type(sys)

NAME = "pyroute2"
# What the codecs import and use at once: loaded before, so that none of these meets a stand-in.
NEEDED = ("collections", "errno", "functools", "io", "struct", "threading", "time", "types", "weakref")
HINTS = ("Any", "Callable", "Dict", "List", "Literal", "Optional", "Tuple", "Type", "TypeVar", "Union")

_kept: dict[str, ModuleType] = {}


class Codecs:
    """While this context lasts, `import pyroute2.netlink` loads that and little else.

    Does nothing where the real pyroute2 is loaded already. Raises ImportError
    where pyroute2 is not installed.
    """

    def __init__(self) -> None:
        """Change nothing yet."""
        self._theirs = NAME in sys.modules

    def __enter__(self) -> None:
        """Put the bare package and the stand-ins where nothing is."""
        if self._theirs:
            return
        for name in NEEDED:
            __import__(name)
        sys.modules.update(_kept or {NAME: _bare_package()})
        for make in (_logging, _socket, _traceback, _typing):
            stand_in = make()
            sys.modules.setdefault(stand_in.__name__, stand_in)

    def __exit__(self, *_: object) -> None:
        """Take them away; keep what was loaded for the next time."""
        if self._theirs:
            return
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == NAME:
                _kept[name] = sys.modules.pop(name)
            elif isinstance(module, _StandIn):
                del sys.modules[name]


class _StandIn(ModuleType):
    """A module that has a few names; for any other it loads the real one."""

    def __init__(self, name: str, **names: object) -> None:
        super().__init__(name)
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system asks for __path__
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


def _real(name: str) -> ModuleType:
    if isinstance(sys.modules.get(name), _StandIn):
        del sys.modules[name]
    __import__(name)
    return sys.modules[name]


class _Logger:
    """What logging.getLogger returns, once it is used."""

    def __init__(self, *name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> object:
        return getattr(_real("logging").getLogger(*self._name), name)


class _Hint:
    """An annotation, or a part of one; pyroute2 never looks at it."""

    def __getitem__(self, _: object) -> _Hint:
        return self

    def __call__(self, *_: object, **__: object) -> _Hint:
        return self

    def __or__(self, _: object) -> _Hint:
        return self

    __ror__ = __or__


def _logging() -> _StandIn:
    return _StandIn("logging", getLogger=_Logger)


def _socket() -> _StandIn:
    """Give the constants and functions of the C module; AddressFamily is an annotation there."""
    import _socket as lower

    names = {name: value for name, value in vars(lower).items() if not name.startswith("__")}
    del names["socket"], names["SocketType"]
    return _StandIn("socket", **names, AddressFamily=int)


def _traceback() -> _StandIn:
    return _StandIn("traceback")


def _typing() -> _StandIn:
    return _StandIn("typing", **dict.fromkeys(HINTS, _Hint()))


def _bare_package() -> ModuleType:
    """Return the package with its place in the file system, or in a frozen program, and no content."""
    for finder in sys.meta_path:
        spec = finder.find_spec(NAME, None)
        if spec is not None and spec.submodule_search_locations is not None:
            package = ModuleType(NAME)
            package.__path__ = list(spec.submodule_search_locations)
            return package
    raise ModuleNotFoundError(f"No module named {NAME!r}", name=NAME)
