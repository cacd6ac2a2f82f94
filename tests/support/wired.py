"""Ends that the plugin has attached: containers on one switch, and what they send each other.

Owns the node around a `Wire`: plugin, network namespaces, attachments; and that
nothing of them is left afterwards.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from tests.support.attached import Attached
from tests.support.netns import Netns
from tests.support.plugin import Plugin
from tests.support.wire import End, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.support.switch import Switch

BRIDGE = "br0"


class Wired:
    """Containers by name, each with one attachment and an application on it; a context manager.

    `kinds` are the keys of each one's netconf. The switch is cleaned first;
    it has an administrator's bridge br0. Of `idle` ones no application is
    started; `flood` starts a sender there. `jumbo` makes applications that take
    frames of 9,014 bytes.
    """

    def __init__(
        self,
        switch: Switch,
        kinds: Mapping[str, Mapping[str, Any]],
        *,
        idle: Sequence[str] = (),
        jumbo: bool = False,
    ) -> None:
        """Choose; nothing is made yet."""
        self.switch = switch
        self.kinds = dict(kinds)
        self._idle = tuple(idle)
        self._jumbo = jumbo
        self._stack = ExitStack()
        self.attached: dict[str, Attached] = {}
        self.plugin: Plugin
        self.wire: Wire

    def attach(self, name: str) -> Attached:
        """ADD one of them, again after its DEL."""
        netns = self._stack.enter_context(Netns())
        container, keys = f"{name}-1", {"bridge": BRIDGE, **self.kinds[name]}
        conf = self.plugin.conf(sharedDir=self.plugin.shared, **keys)
        self.attached[name] = Attached(
            plugin=self.plugin,
            switch=self.switch,
            netns=netns,
            conf=conf,
            result=self.plugin.add(conf, container, netns.path).succeeded(),
            container=container,
        )
        return self.attached[name]

    def detach(self, name: str) -> None:
        """End its application and DEL it."""
        self.wire.leave(name)
        self.attached.pop(name).delete().succeeded()

    def rejoin(self, name: str) -> None:
        """ADD it again after `detach`, with a new application."""
        self.attach(name)
        self.wire.join(name, self.end(name))

    def end(self, name: str, flood: Sequence[bytes] = ()) -> End:
        """Return an application for an attachment; it is not started."""
        attached = self.attached[name]
        inside = next(i for i in attached.result["interfaces"] if i.get("sandbox"))
        return End(
            port=attached.port,
            socket=inside.get("socketPath", attached.socket),  # since 1.1.0 the result tells it
            directory=self.plugin.directory,
            jumbo=self._jumbo,
            flood=flood,
        )

    @contextmanager
    def flood(self, name: str, frames: Sequence[bytes]) -> Iterator[None]:
        """Send these frames from an idle one for ever, as fast as it goes."""
        end = self.end(name, frames)
        end.launch()
        try:
            end.app.await_ready()
            yield
        finally:
            end.app.stop()

    def __enter__(self) -> Self:
        """Attach all, start their applications."""
        try:
            self.switch.clean()
            self._stack.callback(self.switch.clean)
            self.switch.add_bridge(BRIDGE)
            self.plugin = self._stack.enter_context(Plugin(self.switch))
            for name in self.kinds:
                self.attach(name)
            ends = {name: self.end(name) for name in self.kinds if name not in self._idle}
            self.wire = self._stack.enter_context(Wire(self.switch, ends))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the applications, DEL all."""
        with self._stack:
            self.wire.__exit__()
            for attached in self.attached.values():
                attached.delete().succeeded()
