"""What ADD and DEL cost, against bare `ovs-vsctl` in the same run. `python -m tests.bench`."""
