"""OVS-DPDK: vhost-user ports on a userspace bridge."""
