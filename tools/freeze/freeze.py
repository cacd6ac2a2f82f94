# ruff: noqa: INP001  a script, run by an interpreter that has nothing of this project
"""Make the executable: CPython, linked statically, with the plugin frozen into it.

`python freeze.py SOURCE BUILD PACKAGE OUT`: CPython's source tree, its build
directory after `make` (of the same version as the interpreter that runs this),
the directory of the package cni_userspace, the file to make. Owns which modules
are frozen, and how: CPython's own tools do the work (Programs/_freeze_module,
Tools/scripts/deepfreeze.py), and its Py_FrozenMain is the program. Writes
nothing into SOURCE and BUILD.

Three forms of a module, by what each costs (docs/explanation/performance.md):
what every call loads is "deep-frozen", objects in the data segment that need
not be made; but the names in all of these are interned at every start, so
the rest of the package is frozen as marshalled code, read when it is
imported; and what is not ours lies beside the executable in lib/.
"""

from __future__ import annotations

import ast
import marshal
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
# what CPython imports before any program: by these names, from these modules
BOOTSTRAP = {
    "_frozen_importlib": "importlib._bootstrap",
    "_frozen_importlib_external": "importlib._bootstrap_external",
}
STDLIB = (
    *("__future__", "_collections_abc", "abc", "codecs", "encodings", "encodings.aliases"),
    *("encodings.utf_8", "genericpath", "io", "os", "posixpath", "stat"),
)
# The collector goes to work before the plugin's first line unless it is turned off here.
MAIN = """
import gc
gc.disable()
from cni_userspace.__main__ import main
raise SystemExit(main())
"""
SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"
OPTIMIZE = 2  # no docstrings: nobody reads them here, and each is a page to fault in
FLAGS = ("-DNDEBUG", "-fwrapv", "-O2", "-std=c11", "-fvisibility=hidden", "-fno-pie", "-DPy_BUILD_CORE")
PATHS = (
    "PREFIX",
    "EXEC_PREFIX",
    "VPATH",
    "PLATLIBDIR",
    "PYTHONPATH",
)  # getpath.c asks; our getpath.py does not
LINK = (
    "-no-pie",  # as Debian's python3: an address fixed at link time needs no relocation at each start
    "-Wl,-z,relro",
    "-Wl,--hash-style=gnu",
    "-Wl,--build-id=none",
    "-Wl,--defsym=main=Py_FrozenMain",
    "-Wl,--export-dynamic",  # to extension modules in lib/
    "-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib",  # and the libraries that those need
)
REPLACED = ("frozen.o", "deepfreeze.o", "getpath.o")
TABLE = """#include "Python.h"
#include "pycore_import.h"
#include <stdbool.h>
{includes}
static const struct _frozen bootstrap[] = {{
    {{"zipimport", NULL, 0, false, NULL}}, /* not to be imported: nothing lies in an archive */
{bootstrap}
    {{0, 0, 0}}
}};
static const struct _frozen modules[] = {{
{modules}
    {{0, 0, 0}}
}};
static const struct _frozen none[] = {{{{0, 0, 0}}}};
static const struct _module_alias aliases[] = {{
{aliases}
    {{0, 0}}
}};
const struct _frozen *_PyImport_FrozenBootstrap = bootstrap;
const struct _frozen *_PyImport_FrozenStdlib = modules;
const struct _frozen *_PyImport_FrozenTest = none;
const struct _module_alias *_PyImport_FrozenAliases = aliases;
const struct _frozen *PyImport_FrozenModules = NULL;
"""


@dataclass(frozen=True)
class Module:
    """A module to freeze: its name, where it comes from, and whether it is deep-frozen."""

    name: str
    origin: str
    text: str
    package: bool
    deep: bool

    @property
    def symbol(self) -> str:
        """Return the name that CPython's tools derive for C."""
        return self.origin.replace(".", "_")

    @property
    def header(self) -> str:
        """Return the name of the file that holds the marshalled code."""
        return f"{self.origin}.h"

    def row(self) -> str:
        """Return the module's line in CPython's table of frozen modules."""
        package = str(self.package).lower()
        if self.deep:
            return f'    {{"{self.name}", NULL, 0, {package}, _Py_get_{self.symbol}_toplevel}},'
        code = f"_Py_M__{self.symbol}"
        return f'    {{"{self.name}", {code}, (int)sizeof({code}), {package}, NULL}},'

    def declaration(self) -> str:
        """Return what C must know before the table."""
        if self.deep:
            return f"extern PyObject *_Py_get_{self.symbol}_toplevel(void);"
        return f'#include "{self.header}"'


def main(arguments: list[str]) -> int:
    """Make the executable."""
    source, build, package, out = map(os.path.abspath, arguments)
    with tempfile.TemporaryDirectory() as scratch:
        modules = list(_modules(os.path.join(source, "Lib"), package))
        for module in modules:
            _write(os.path.join(scratch, module.header), _header(module))
        _write(os.path.join(scratch, "frozen.c"), _table(modules))
        deep = [f"{scratch}/{m.header}:{m.origin}" for m in modules if m.deep]
        _run(sys.executable, f"{source}/Tools/scripts/deepfreeze.py", *deep, "-o", f"{scratch}/deepfreeze.c")
        _getpath(source, build, scratch)
        objects = [_compile(source, build, scratch, name) for name in REPLACED]
        _link(build, scratch, objects, out)
    return 0


def _modules(stdlib: str, package: str) -> list[Module]:
    with open(os.path.join(HERE, "at_start.txt"), encoding="utf-8") as file:
        at_start = {line.strip() for line in file if not line.startswith("#")}
    above = os.path.dirname(package)
    ours = list(_names(package))
    if unknown := at_start - set(ours):
        raise SystemExit(f"at_start.txt names what is no module: {', '.join(sorted(unknown))}")
    return [
        *(_module(stdlib, name, origin, deep=True) for name, origin in BOOTSTRAP.items()),
        *(_module(stdlib, name, name, deep=True) for name in STDLIB),
        *(_module(above, name, name, deep=name in at_start) for name in ours),
        Module("__main__", "__main__", MAIN, package=False, deep=True),
    ]


def _names(package: str) -> list[str]:
    """Return every module of the package."""
    above = os.path.dirname(package)
    found = []
    for folder, _, files in os.walk(package):
        dotted = os.path.relpath(folder, above).replace(os.sep, ".")
        names = [file[:-3] for file in files if file.endswith(".py")]
        found += [dotted if name == "__init__" else f"{dotted}.{name}" for name in names]
    return sorted(found)


def _module(base: str, name: str, origin: str, *, deep: bool) -> Module:
    path = os.path.join(base, *origin.split("."))
    package = os.path.isdir(path)
    with open(f"{path}/__init__.py" if package else f"{path}.py", encoding="utf-8") as file:
        return Module(name, origin, file.read(), package=package, deep=deep)


def _header(module: Module) -> str:
    """Return the marshalled code as C, in the form that deepfreeze.py reads."""
    tree = ast.parse(module.text)
    _leave_annotations_out(tree)
    code = compile(tree, f"<frozen {module.origin}>", "exec", dont_inherit=True, optimize=OPTIMIZE)
    data = marshal.dumps(code)
    lines = ["".join(f"{byte}," for byte in data[at : at + 32]) for at in range(0, len(data), 32)]
    head = "/* Auto-generated by Programs/_freeze_module.py */"
    return "\n".join([head, f"const unsigned char _Py_M__{module.symbol}[] = {{", *lines, "};", ""])


def _leave_annotations_out(tree: ast.AST) -> None:
    """Take the annotations from functions: each start would make them. Classes keep theirs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None


def _table(modules: list[Module]) -> str:
    first = [module for module in modules if module.name in BOOTSTRAP]
    rest = [module for module in modules if module.name not in BOOTSTRAP]
    return TABLE.format(
        includes="\n".join(module.declaration() for module in modules),
        bootstrap="\n".join(module.row() for module in first),
        modules="\n".join(module.row() for module in rest),
        aliases="\n".join(f'    {{"{m.name}", "{m.origin}"}},' for m in modules if m.name != m.origin),
    )


def _getpath(source: str, build: str, scratch: str) -> None:
    """Have CPython's getpath.c run our getpath.py."""
    _run(f"{build}/Programs/_freeze_module", "getpath", f"{HERE}/getpath.py", f"{scratch}/getpath.h")
    with open(f"{source}/Modules/getpath.c", encoding="utf-8") as file:
        text = file.read()
    asked = "../Python/frozen_modules/getpath.h"
    if asked not in text:
        raise SystemExit(f"Modules/getpath.c of {source} does not include {asked}")
    _write(f"{scratch}/getpath.c", text.replace(asked, "getpath.h"))


def _compile(source: str, build: str, scratch: str, name: str) -> str:
    flags = [
        *FLAGS,
        *(f"-I{folder}" for folder in (scratch, f"{source}/Include/internal", build, f"{source}/Include")),
    ]
    flags += [f'-D{path}=""' for path in PATHS] + [f'-DVERSION="{SERIES}"']
    made = os.path.join(scratch, name)
    _run("gcc", "-c", *flags, "-o", made, f"{made[:-2]}.c")
    return made


def _link(build: str, scratch: str, objects: list[str], out: str) -> None:
    library = os.path.join(scratch, "libpython.a")
    shutil.copy(os.path.join(build, f"libpython{SERIES}.a"), library)
    _run("ar", "d", library, *REPLACED)
    whole = ("-Wl,--whole-archive", library, "-Wl,--no-whole-archive")
    _run("gcc", *LINK, "-o", out, *objects, *whole, *_libraries(build))
    _run("strip", "--strip-unneeded", out)


def _libraries(build: str) -> list[str]:
    """Return the libraries that CPython's Makefile links its interpreter with."""
    found = []
    with open(os.path.join(build, "Makefile"), encoding="utf-8") as file:
        for line in file:
            name, equals, value = line.partition("=")
            if equals and name.strip() in ("LOCALMODLIBS", "LIBS", "LIBM"):
                found += [word for word in value.split() if word.startswith("-l")]
    return found


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  the compiler's own tools


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
