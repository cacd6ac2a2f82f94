"""The contract of an engine, as the verbs know it.

Owns the words between `attach` and `engines`: what an engine is asked and what
it answers. `attach` never looks into a plan; it keeps it in the record and
hands it back.
"""

from __future__ import annotations

from cni_userspace.cni.result import Interface
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol

    from cni_userspace.attach.store import Key, Record
    from cni_userspace.attach.undo import Undo
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request
    from cni_userspace.cni.result import Result
    from cni_userspace.host.deadline import Deadline


class Attached(Value):
    """What an engine made of a plan."""

    plan: Mapping[str, Any]  # the plan with what was learnt while making it: goes into the record
    host: tuple[Interface, ...] = ()  # listed without a sandbox
    container: Interface  # the one interface that the container has
    device_info: Mapping[str, Any] | None = None  # where it was not known when it was planned
    warnings: tuple[str, ...] = ()  # what the node's operator should know of it


class Marked(Value):
    """An attachment found by the marks that it left, without its record."""

    key: Key
    netns: str = ""
    netns_id: str = ""
    pod: Mapping[str, str] = {}
    plan: Mapping[str, Any]  # enough of a plan for `detach`


if TYPE_CHECKING:

    class Planned(Protocol):
        """What the verbs must know of any engine's plan."""

        @property
        def device_info(self) -> Mapping[str, Any] | None:
            """Return the NPWG device-info, None where there is none or it is not yet known."""

        @property
        def shared_directory(self) -> str:
            """Return the container's directory on the host, "" without one of its own."""

        @property
        def socketfile(self) -> str:
            """Return the socket's name in that directory, "" without one."""

        def as_dict(self) -> dict[str, Any]:
            """Return the plan as JSON values, for the record."""

    class Engine(Protocol):
        """One way of attaching: a module with these functions."""

        def parse_options(self, getter: Any) -> Value:  # noqa: ANN401  cni.getter, which engines need not import
            """Read the engine's own keys; mistakes go to the getter."""

        def plan(
            self,
            request: Request,
            conf: NetConf,
            node: NodeFile,
            siblings: Sequence[Record],
            deadline: Deadline,
        ) -> Planned:
            """Look at the machine, changing nothing, and say what ADD would make.

            `siblings` are the container's other attachments. Raises PluginError
            where ADD cannot work.
            """

        def attach(
            self,
            plan: Any,  # noqa: ANN401  its own plan
            undo: Undo,
            deadline: Deadline,
            assign: Callable[[], Result],
        ) -> Attached:
            """Make what was planned; each effect registers its undo as it succeeds.

            `assign` has IPAM assign addresses, and returns the same ones when it
            is called again. It is the engine's to say when: a DHCP client needs
            the interface in the container, a switch's flows need the addresses.
            """

        def detach(
            self,
            plan: Mapping[str, Any],
            key: Key,
            deadline: Deadline,
            release: Callable[[], list[str]],
        ) -> list[str]:
            """Take away all that can be; return what would not go. A repeat is success.

            `release` has IPAM take the addresses back, and returns what would
            not go. Must be called once, when the engine's order has it.
            """

        def clean_directory(self, plan: Mapping[str, Any], *, last: bool) -> list[str]:
            """Remove the container's directory if it is ours and this was its last attachment."""

        def check(self, plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
            """Compare the machine with the plan; return what is missing or wrong."""

        def status(self, conf: NetConf, node: NodeFile, deadline: Deadline) -> None:
            """Raise NotAvailableError or LimitedError when ADD cannot work."""

        def place(self, conf: NetConf, node: NodeFile) -> str:
            """Return where marks of this config's attachments stand; a plan keeps it as `place`.

            "" where a config cannot have led to this engine. One that a runtime
            stripped of its keys can have led to any.
            """

        def marked(self, place: str, deadline: Deadline) -> list[Marked]:
            """Return every attachment at a place that carries our marks."""

    class Engines(Protocol):
        """The engines that this version has: the package `engines`, handed in from above."""

        def load(self, name: str) -> Engine:
            """Import an engine; raise UnsupportedFieldError (code 2) for an unknown name."""

        def every(self) -> Iterable[Engine]:
            """Import and yield all engines."""
