"""Frames and capture files, read by programs that are not ours."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import frames
from tests.support.need import SWITCH, need

if TYPE_CHECKING:
    from pathlib import Path

MAC = "02:00:00:00:00:01"
EACH = {
    "arp_spa=10.1.0.5": frames.arp(MAC, "10.1.0.5"),
    "nw_src=10.1.0.5": frames.udp4(MAC, "10.1.0.5"),
    "ipv6_src=2001:db8::5": frames.udp6(MAC, "2001:db8::5"),
    "nd_target=2001:db8::5,nd_sll=00:00:00:00:00:00,nd_tll=02:00:00:00:00:01": frames.advertisement(
        MAC, "2001:db8::5"
    ),
    "dl_vlan=7": frames.tagged(frames.ethernet(MAC), 7),
}


@pytest.mark.parametrize("field", EACH)
def test_the_switch_reads_a_frame_as_it_was_meant(field: str, tmp_path: Path) -> None:
    need(*SWITCH)
    capture = tmp_path / "capture"
    frames.write_capture(str(capture), [EACH[field]])
    told = subprocess.run(["ovs-ofctl", "parse-pcap", capture], check=True, capture_output=True, text=True)
    assert field in told.stdout
    assert f"dl_src={MAC}" in told.stdout


def test_what_is_written_is_read_and_a_half_written_frame_left_out(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    written = frames.numbered(MAC, 3, size=9014)
    frames.write_capture(str(capture), written)
    assert frames.read_capture(str(capture)) == written
    capture.write_bytes(capture.read_bytes()[:-1])
    assert frames.read_capture(str(capture)) == written[:2]
    assert frames.read_capture(str(tmp_path / "none")) == []


def test_numbered_frames_have_their_size_and_differ() -> None:
    for size in (60, 64, 1514, 9014):
        made = frames.numbered(MAC, 4, size=size)
        assert {len(frame) for frame in made} == {size}
        assert len(set(made)) == 4
