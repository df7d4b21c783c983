#!/bin/sh
# Build the images on a machine without an engine and without a registry: buildah, and a base image made
# by debootstrap. Where a registry can be reached, `docker build` with the same files needs none of this.
#
#   docker/build.sh x86|arm64|nvidia|device BUNDLE     (as root)
#
# Says how large the image is, how long it took, and what a smoke run of it printed: its version, what it
# finds missing, and its verdict on BUNDLE (a file or folder), as the image's own unprivileged user.
# Needs: apt-get install buildah debootstrap, for arm64 also qemu-user-static binfmt-support
set -eu

TARGET=$1 BUNDLE=$(readlink -f "$2")
REPO=$(cd "$(dirname "$0")/.." && pwd)
WORK=${WORK:-$REPO/build/images}
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
PYTHON=${PYTHON:-python3}
NAME=docker.io/library/python:3.11-slim-bookworm

arch=amd64 extras=onnxruntime,openvino,predict,sign,report platforms=
case $TARGET in
x86) ;;
arm64) arch=arm64 extras=onnxruntime,predict,sign ;;
nvidia) extras=onnxruntime,tensorrt,predict,sign,report ;;
device) extras=onnxruntime ;;
*) echo "usage: build.sh x86|arm64|nvidia|device BUNDLE" >&2 && exit 2 ;;
esac
if [ "$arch" = arm64 ]; then
    for tag in 2_28 2_27 2_17; do platforms="$platforms --platform manylinux_${tag}_aarch64"; done
    platforms="$platforms --platform manylinux2014_aarch64 --only-binary=:all: --python-version 3.11"
fi

b() { buildah --storage-driver vfs --root "$WORK/storage" --runroot "$WORK/run" "$@"; }

# The base under the name the Dockerfiles give it: Debian's Python 3.11 and nothing else.
base() {
    root=$WORK/base-$arch
    [ -e "$root.done" ] || {
        debootstrap --arch="$arch" --variant=minbase --include=python3,python3-venv,ca-certificates \
            bookworm "$root" "$MIRROR" >"$root.log"
        rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/*
        touch "$root.done"
    }
    container=$(b from --arch "$arch" scratch)
    b add --quiet "$container" "$root" / >/dev/null
    b config --cmd python3 --arch "$arch" "$container"
    b commit --quiet --rm "$container" "$NAME" >/dev/null
}

# All wheels, fetched outside, so that the build itself needs no network.
wheels() {
    mkdir -p "$WORK/wheels-$arch"
    # shellcheck disable=SC2086
    "$PYTHON" -m pip download --quiet --dest "$WORK/wheels-$arch" --constraint "$REPO/constraints.txt" \
        $platforms "setuptools>=70" wheel $("$PYTHON" "$REPO/docker/requirements.py" "$extras")
}

# A command in the image, as its own unprivileged user. An ARM64 image is entered without /sys: onnxruntime
# looks there for the processor, finds the host's and crashes, which no real board does.
inside() {
    if [ "$arch" = arm64 ]; then
        root=$(b mount "$container")
        mount --bind /proc "$root/proc"
        status=0
        chroot --userspec=10001:10001 "$root" /usr/bin/env -i HOME=/home/edgekd PYTHONDONTWRITEBYTECODE=1 \
            PATH=/opt/edgekd/bin:/usr/bin:/bin sh -c 'cd && exec "$@"' sh "$@" || status=$?
        umount "$root/proc"
        return "$status"
    fi
    b run --isolation chroot --user edgekd "$container" -- "$@"
}

smoke() {
    container=$(b from --arch "$arch" "edgekd:$TARGET")
    b copy --quiet --chown 10001 "$container" "$BUNDLE" /home/edgekd/bundle >/dev/null
    for verb in "--version" "doctor" "verify bundle"; do
        echo "--- edgekd $verb"
        # shellcheck disable=SC2086
        inside edgekd $verb || echo "exit code $?"
    done
    if [ "$TARGET" = nvidia ]; then
        echo "--- TensorRT for RTX, without a GPU"
        b run --isolation chroot --user edgekd "$container" -- \
            python3 -c 'import tensorrt_rtx_bindings as t; t.Builder(t.Logger()); print(t.__version__)'
    fi
    inside python3 -c \
        'import os, importlib.util as u; print("uid", os.getuid(), "torch", u.find_spec("torch"))'
    echo "image: $(du -sm "$(b mount "$container")" | cut -f1) MB unpacked"
    b rm "$container" >/dev/null
}

mkdir -p "$WORK"
started=$(date +%s)
base
wheels
middle=$(date +%s)
b bud --quiet --layers=false --isolation chroot --arch "$arch" --volume "$WORK/wheels-$arch:/wheels:ro" \
    --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels \
    -f "$REPO/docker/$TARGET.Dockerfile" -t "edgekd:$TARGET" "$REPO"
echo "built: base and wheels $((middle - started)) s, image $(($(date +%s) - middle)) s"
smoke
