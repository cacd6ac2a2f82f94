"""The CNI protocol: requests, network configurations, results, IPAM delegation.

Knows no OVS and no SR-IOV, and imports nothing of `attach`, `engines` or `host`
but the process runner that IPAM delegation needs.
"""
