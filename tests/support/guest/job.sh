# The guest's second program, as PID 1, in front of which `command` is defined:
# brings up what a node has, runs the command, tells how it ended, powers off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
say() { printf '%s\n' "$*" >&3; }
exec </dev/null >/dev/console 2>&1
for port in /sys/class/virtio-ports/*; do
    read -r name <"$port/name"
    declare "$name=/dev/${port##*/}"
done
# shellcheck disable=SC2154  # the names are machine.py's
exec 3>"$status_port"
mkdir -p /dev/pts /dev/shm /run/netns /run/lock
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t hugetlbfs hugetlbfs /dev/hugepages 2>/dev/null
hostname guest
: >/run/sriov-guest
ip link set lo up
/lib/systemd/systemd-udevd --daemon
modprobe -a igb igbvf vfio-pci
udevadm settle --timeout=60
say ready
# The port can be opened once, and /dev/stdout must be open to all: hence the pipe.
mkfifo /run/output
cat /run/output >"$output_port" &
(command) </dev/null >/run/output 2>&1 3>&-
status=$?
for _ in {1..50}; do
    kill -0 %1 2>/dev/null || break
    sleep 0.1 # a daemon that the command left may hold the pipe
done
say "status $status"
sync
echo o >/proc/sysrq-trigger
sleep 60
