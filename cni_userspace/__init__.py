"""A CNI plugin for userspace networks: OVS-DPDK vhost-user ports, SR-IOV functions.

This package file is imported by every start of the plugin, so it holds the
version and nothing else.
"""

__version__ = "0.1.0"
