"""Facts about the rig: the Kubernetes API is a real one, and nothing is left of it."""

from __future__ import annotations

import json
import os
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.support import kubeobjects
from tests.support.apiserver import LOOPBACK, QEMU_HOST, ApiServer
from tests.support.kubeapi import VARIABLE, KubeApi
from tests.support.kubeclient import ApiError

if TYPE_CHECKING:
    from tests.support.kubeobjects import Rule

READ_PODS: Rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
CHANGE = {"metadata": {"annotations": {"a": "b"}}}
FORBIDDEN = 403


@pytest.mark.usefixtures("api")  # which says what is missing
def test_everything_is_gone_after_stop() -> None:
    with ApiServer() as api:
        port, directory = api.port, api.directory
        assert os.path.isdir(directory)

    assert not os.path.exists(directory)
    with socket.socket() as probe:
        probe.bind((LOOPBACK, port))  # refused while anybody has it


def test_objects_are_kept_over_a_crash_of_the_server(api: ApiServer) -> None:
    made = api.admin.create(kubeobjects.pod("kept"))
    port = api.port

    api.kill_apiserver()
    with pytest.raises(OSError, match="refused"):
        api.admin.get("Pod", "kept")
    api.start_apiserver()

    assert api.port == port
    assert api.admin.get("Pod", "kept")["metadata"]["uid"] == made["metadata"]["uid"]
    api.admin.delete(made)
    assert api.admin.find("Pod", "kept") is None


def test_a_user_has_the_rights_that_were_granted_and_no_others(api: ApiServer) -> None:
    thing = api.admin.create(kubeobjects.pod("seen"))
    reader = api.client("reader")
    with pytest.raises(ApiError) as before:
        reader.get("Pod", "seen")

    api.grant("reader", [READ_PODS])

    assert reader.get("Pod", "seen")["metadata"]["uid"] == thing["metadata"]["uid"]
    with pytest.raises(ApiError) as after:
        reader.patch(thing, CHANGE)
    assert (before.value.code, after.value.code) == (FORBIDDEN, FORBIDDEN)
    assert api.admin.patch(thing, CHANGE)["metadata"]["annotations"] == {"a": "b"}


def test_a_kubeconfig_names_no_file(api: ApiServer) -> None:
    assert api.directory not in api.kubeconfig("carried")


def test_another_process_takes_part_by_a_line_of_text(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.admin.create(kubeobjects.pod("shared"))
    monkeypatch.setenv(VARIABLE, api.invitation(LOOPBACK))

    there = KubeApi.invited()

    assert there is not None
    assert there.admin.get("Pod", "shared")["metadata"]["uid"] == made["metadata"]["uid"]
    there.grant("guest", [READ_PODS])
    assert there.client("guest").find("Pod", "shared") is not None


def test_the_certificate_is_good_for_an_emulated_guest(api: ApiServer) -> None:
    context = ssl.create_default_context(cafile=os.path.join(api.directory, "pki", "ca.crt"))

    plain = socket.create_connection((LOOPBACK, api.port))
    with context.wrap_socket(plain, server_hostname=QEMU_HOST) as tls:
        assert tls.getpeercert()


def test_a_network_attachment_definition_is_kept_as_it_was_written(api: ApiServer) -> None:
    config = {"cniVersion": "1.0.0", "plugins": [{"type": "userspace", "bridge": "br0"}]}
    api.admin.create(kubeobjects.network("fast", config))

    kept = api.admin.get(kubeobjects.NAD_KIND, "fast", version=kubeobjects.NAD_VERSION)

    assert json.loads(kept["spec"]["config"]) == config
