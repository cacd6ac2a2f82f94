"""The seams to the machine: everything that touches the kernel, files or sockets.

Nothing here knows of CNI; each module takes plain values and raises
`PluginError`s or OSError as its docstring says.
"""
