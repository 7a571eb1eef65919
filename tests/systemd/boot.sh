#!/usr/bin/env bash
# Boots this machine's systemd as PID 1 of namespaces of its own, over a view of
# the file system that forgets all that is written, and runs a command inside:
#
#   tests/systemd/boot.sh [--copy FROM:TO]... [--leader FILE] [--own-network] -- COMMAND [ARGUMENT]...
#
#   --copy FROM:TO   copies a file or folder inside, before the boot
#   --leader FILE    once booted, the process id of that systemd as seen from here;
#                    `nsenter --all --target ID` runs more inside
#   --own-network    nothing but a loopback; else inside and outside share the
#                    network, and a server here on 127.0.0.1 is reached from there
#
# The command runs as root. Its exit status is ours; 77 means that it cannot be
# done here, and why is on stderr. When the command ends, all inside ends.
set -euo pipefail

cannot() {
  echo "cannot boot a systemd here: $*" >&2
  exit 77
}

copies=()
leader_file=
unshared=(--pid --mount --cgroup --uts --ipc)
while [ $# -gt 0 ]; do
  case $1 in
    --copy) copies+=("$2"); shift 2 ;;
    --leader) leader_file=$2; shift 2 ;;
    --own-network) unshared+=(--net); shift ;;
    --) shift; break ;;
    *) echo "boot.sh: what is \`$1\`?" >&2; exit 64 ;;
  esac
done
[ $# -gt 0 ] || { echo 'boot.sh: no command' >&2; exit 64; }

[ "$(id -u)" = 0 ] || cannot 'that takes root'
for program in unshare nsenter mount dbus-daemon /lib/systemd/systemd; do
  command -v "$program" >/dev/null || cannot "there is no $program"
done

work=$(mktemp --directory --tmpdir intermission-boot.XXXXXX)
namespace=          # the process that holds the namespaces
cgroup=             # all inside live in this one, so that none gets away

# The unified hierarchy: alone, or beside the older ones.
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified; do
  if [ -e "$hierarchy/cgroup.procs" ] && [ -e "$hierarchy/cgroup.controllers" ]; then
    cgroup=$hierarchy/$(basename "$work")
    break
  fi
done

clean_up() {
  # The end of PID 1 is the end of its namespace.
  if [ -n "$namespace" ]; then
    kill -KILL "$namespace" 2>/dev/null || true
    wait "$namespace" 2>/dev/null || true
  fi
  if [ -n "$cgroup" ]; then
    # Empty only when the last has been reaped.
    for _ in {1..50}; do
      [ -d "$cgroup" ] || break
      find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      sleep 0.1
    done
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 143' TERM INT HUP

[ -z "$cgroup" ] || mkdir "$cgroup" || cannot 'cgroups cannot be made'

# Runs inside the namespaces: builds the tree, then becomes systemd.
inside() {
  set -euo pipefail
  local root=$work/top/root copy device unit

  mount --make-rprivate /
  mkdir "$work/top"
  mount -t tmpfs -o size=512m tmpfs "$work/top"
  mkdir "$work/top/"{written,scratch,root}
  mount -t overlay -o "lowerdir=/,upperdir=$work/top/written,workdir=$work/top/scratch" overlay "$root"

  for copy in "$@"; do
    mkdir -p "$(dirname "$root/${copy#*:}")"
    cp -a "${copy%%:*}" "$root/${copy#*:}"
  done

  # Only what a daemon sees of an operating system, and nothing that would reach
  # for the hardware, the kernel's settings or the network that we share.
  cat >"$root/etc/systemd/system/scene.target" <<'UNIT'
[Unit]
Requires=basic.target dbus.service
After=basic.target dbus.service
UNIT
  for unit in systemd-{udevd,udev-trigger,modules-load,sysctl,binfmt,random-seed,networkd,resolved,timesyncd,logind,remount-fs}.service \
    systemd-udevd-{control,kernel}.socket systemd-journald-audit.socket systemd-initctl.socket \
    apparmor.service networking.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  # This machine's own chores: no package lists are fetched from in here.
  rm -f "$root"/{etc,usr/lib}/systemd/system/timers.target.wants/*
  # All mounts are made here.
  rm -f "$root/etc/fstab"
  rm -f "$root/etc/machine-id"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"

  mount -t proc proc "$root/proc"
  # Refused where the network is not ours.
  mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mkdir "$root/dev/"{pts,shm}
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"

  hostname scene
  mkdir "$root/.outside"
  cd "$root"
  pivot_root . .outside
  umount --lazy /.outside
  # systemd hands over credentials by a mount that has to reach the service. This
  # is shared among all inside; nothing outside has a part in it.
  mount --make-rshared /
  exec env --ignore-environment container=scene PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=scene.target --show-status=false --log-target=console --log-level=warning
}
export -f inside
export work

console=$work/console
(
  [ -z "$cgroup" ] || echo "$BASHPID" >"$cgroup/cgroup.procs"
  exec unshare "${unshared[@]}" --fork --kill-child bash -c 'inside "$@"' inside "${copies[@]}"
) </dev/null >"$console" 2>&1 &
namespace=$!

give_up() {
  echo "boot.sh: $*; the console said:" >&2
  cat "$console" >&2
  exit 70
}

# PID 1 is the child of `unshare`. First it is bash, then systemd.
leader=
for _ in {1..600}; do
  kill -0 "$namespace" 2>/dev/null || give_up 'the namespaces could not be made'
  leader=$(cat "/proc/$namespace/task/$namespace/children" 2>/dev/null | tr -d ' ' || true)
  [ -n "$leader" ] && [ "$(cat "/proc/$leader/comm" 2>/dev/null || true)" = systemd ] && break
  leader=
  sleep 0.05
done
[ -n "$leader" ] || give_up 'systemd did not start'

enter() {
  nsenter --all --target "$leader" -- env --ignore-environment container=scene \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb "$@"
}

state=
for _ in {1..1200}; do
  kill -0 "$namespace" 2>/dev/null || give_up 'systemd ended'
  state=$(enter systemctl is-system-running 2>/dev/null || true)
  case $state in running | degraded) break ;; esac
  sleep 0.05
done
# A unit of this machine that fails in here is none of our business.
case $state in running | degraded) ;; *) give_up "systemd is still $state" ;; esac

if [ -n "$leader_file" ]; then
  # Whoever waits for the file never sees half of it.
  echo "$leader" >"$leader_file.new"
  mv "$leader_file.new" "$leader_file"
fi
status=0
enter "$@" || status=$?
exit "$status"
