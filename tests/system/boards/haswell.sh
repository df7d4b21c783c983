#!/bin/sh
# A board with an x86 processor that has AVX2 and no VNNI: a virtual environment whose Python, and every
# Python it starts, is translated by qemu as a Haswell. What it answers is real; how fast it is is not.
#
#   haswell.sh build FOLDER            make the environment (a minute, 200 MB)
#   haswell.sh run FOLDER COMMAND...   run one of its commands: edgekd, python
#
# Needs: apt-get install qemu-user-static
set -eu

REPO=$(cd "$(dirname "$0")/../../.." && pwd)
PYTHON=${PYTHON:-python3}
# What TCG cannot do is switched off here: else every thread prints a warning for it.
CPU=Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-rtm,-invpcid

build() {
    mkdir -p "$1"
    folder=$(readlink -f "$1")
    "$PYTHON" -m venv --without-pip "$folder"
    rm -f "$folder"/edgekd-*.whl
    "$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$folder" "$REPO"
    "$PYTHON" -m pip --python "$folder/bin/python" install --quiet --constraint "$REPO/constraints.txt" \
        --force-reinstall --no-deps "$folder"/edgekd-*.whl
    "$PYTHON" -m pip --python "$folder/bin/python" install --quiet --constraint "$REPO/constraints.txt" \
        "$folder"/edgekd-*.whl onnxruntime
    real=$(readlink -f "$folder/bin/python")
    for name in "$folder"/bin/python*; do rm "$name"; done
    # argv[0] stays the wrapper's name: by it Python finds its environment, and what it starts anew.
    cat >"$folder/bin/python" <<END
#!/bin/sh
exec qemu-x86_64-static -cpu $CPU -0 "\$0" "$real" "\$@"
END
    chmod +x "$folder/bin/python"
    ln -s python "$folder/bin/python3"
    "$folder/bin/python" -m edgekd --version
}

run() {
    folder=$(readlink -f "$1")
    shift
    case $1 in
    python) shift && exec "$folder/bin/python" "$@" ;;
    edgekd) shift && exec "$folder/bin/python" -m edgekd "$@" ;;
    esac
    echo "haswell.sh run: got $1, want edgekd or python" >&2
    exit 2
}

case ${1:-} in
build | run) "$@" ;;
*) echo "usage: haswell.sh build|run FOLDER ..." >&2 && exit 2 ;;
esac
