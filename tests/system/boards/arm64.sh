#!/bin/sh
# An ARM64 board on an x86 machine: a Debian root of aarch64 programs that qemu translates, with Python,
# onnxruntime, edgekd and an sshd of its own. What it answers is real; how fast it answers is not.
#
#   arm64.sh build ROOT          make the root (as root; about 6 minutes, 900 MB), again: only what is new
#   arm64.sh start ROOT PORT     start its sshd on 127.0.0.1:PORT; the key to enter is ROOT.key
#   arm64.sh stop ROOT           stop it
#   arm64.sh run ROOT COMMAND..  run one command inside
#
# Needs: apt-get install debootstrap qemu-user-static binfmt-support
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
REPO=$(cd "$HERE/../../.." && pwd)
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
PYTHON=${PYTHON:-python3}
SUITE=bookworm
VENV=/opt/edgekd
INCLUDE=python3,python3-venv,python3-pip,ca-certificates,openssh-server

enable_binfmt() {
    [ -e /proc/sys/fs/binfmt_misc/register ] ||
        mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    update-binfmts --enable qemu-aarch64
}

enter() {
    root=$1
    shift
    mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$root" "$@"
}

build() {
    root=$1
    enable_binfmt
    if [ ! -e "$root.debian" ]; then
        debootstrap --arch=arm64 --variant=minbase --include="$INCLUDE" "$SUITE" "$root" "$MIRROR"
        date >"$root.debian"
    fi
    wheels "$root/wheels"
    [ -x "$root$VENV/bin/python" ] || enter "$root" python3 -m venv "$VENV"
    enter "$root" "$VENV/bin/pip" install --quiet --no-index --find-links /wheels \
        --force-reinstall --no-deps edgekd
    enter "$root" "$VENV/bin/pip" install --quiet --no-index --find-links /wheels edgekd onnxruntime
    enter "$root" "$VENV/bin/edgekd" --version
}

# Wheels for the board, fetched here: it needs no network.
wheels() {
    mkdir -p "$1"
    rm -f "$1"/edgekd-*.whl
    "$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$1" "$REPO"
    set -- "$1" --dest "$1" --find-links "$1" --constraint "$REPO/constraints.txt" --quiet
    goal=$1
    shift
    "$PYTHON" -m pip download --only-binary=:all: --implementation cp --python-version 3.11 \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
        "$@" "$goal"/edgekd-*.whl onnxruntime
}

start() {
    root=$1 port=$2
    enable_binfmt
    mkdir -p "$root/run/sshd" "$root/root/.ssh"
    [ -e "$root.key" ] || ssh-keygen -q -t ed25519 -N '' -C board -f "$root.key"
    cp "$root.key.pub" "$root/root/.ssh/authorized_keys"
    chmod 700 "$root/root/.ssh"
    mountpoint -q "$root/dev/pts" || mount --bind /dev/pts "$root/dev/pts"
    enter "$root" /usr/sbin/sshd -p "$port" -o ListenAddress=127.0.0.1 -o PidFile=/run/board.pid \
        -o PasswordAuthentication=no -o PermitRootLogin=prohibit-password -o UsePAM=no \
        -o "SetEnv=PATH=$VENV/bin:/usr/bin:/bin"
    echo "ssh -p $port -i $root.key root@127.0.0.1"
}

stop() {
    root=$1
    [ ! -e "$root/run/board.pid" ] || kill "$(cat "$root/run/board.pid")" || true
    for folder in dev/pts proc; do
        ! mountpoint -q "$root/$folder" || umount "$root/$folder"
    done
}

verb=$1
shift
case $verb in
build | start | stop) "$verb" "$@" ;;
run) enter "$@" ;;
*) echo "usage: arm64.sh build|start|stop|run ROOT ..." >&2 && exit 2 ;;
esac
