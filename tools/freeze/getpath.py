# ruff: noqa: F821, INP001  CPython hands these names in, and runs the text of this file
"""Where the frozen executable finds what it does not hold: nowhere but beside itself.

CPython runs its Modules/getpath.py at every start to work out its paths and
settings, by a search through the file system and the environment. This file
stands in its place: the answer is known, nothing is searched, and a runtime's
PYTHONPATH or PYTHONHOME has no say. /proc/self/exe, because a runtime calls the
plugin by a link, and argv[0] may be anything.
"""

executable = realpath("/proc/self/exe")
base = dirname(executable)
library = joinpath(base, "lib")
for name in ("program_name", "executable", "base_executable"):
    config[name] = executable
for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
    config[name] = base
config["home"] = None
config["platlibdir"] = "lib"
config["stdlib_dir"] = config["platstdlib_dir"] = library
config["module_search_paths"] = [library, joinpath(library, "lib-dynload")]
config["module_search_paths_set"] = 1
config["isolated"] = config["safe_path"] = 1
config["use_environment"] = config["user_site_directory"] = config["site_import"] = 0
# Text is UTF-8 in whatever locale a runtime has: its codec may be in no file here, and
# without it CPython does not start.
config["filesystem_encoding"] = config["stdio_encoding"] = "utf-8"
config["filesystem_errors"] = config["stdio_errors"] = "surrogateescape"
