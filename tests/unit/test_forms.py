"""PCI addresses, as people and the kernel write them."""

from __future__ import annotations

import pytest

from cni_userspace.cni import forms


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0000:03:00.1", "0000:03:00.1"),
        ("0000:AF:1f.7", "0000:af:1f.7"),
        ("03:00.1", "0000:03:00.1"),
        ("10de:03:00.1", "10de:03:00.1"),
        ("", ""),
        ("eth1", ""),
        ("0000:03:00", ""),
        ("0000:03:00:1", ""),
        ("0000.03.00.1", ""),
        ("0000:03.00:1", ""),
        ("0000:3:00.1", ""),
        ("0000:03:00.10", ""),
        ("000g:03:00.1", ""),
        (" 0000:03:00.1", ""),
        ("0000:0000:03:00.1", ""),
        ("mlx5_core.sf.4", ""),
    ],
)
def test_a_pci_address_is_put_into_the_kernels_form(text: str, address: str) -> None:
    assert forms.pci(text) == address


@pytest.mark.parametrize("text", ["0000.03.00.1", "03:00.1", "", "."])
def test_only_a_whole_pci_address_says_sriov(text: str) -> None:
    assert not forms.is_pci(text)
