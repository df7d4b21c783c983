#!/usr/bin/env bash
# Use what is about to be published as a user does: installed from a folder of files into an empty environment, in an
# empty folder, away from the clone.
#   $1  folder with one wheel and one sdist
set -euo pipefail

dist=$(cd "${1:?a folder with a wheel and an sdist}" && pwd)
wheels=("$dist"/edgekd-*.whl)
sdists=("$dist"/edgekd-*.tar.gz)
if [[ ${#wheels[@]} != 1 || ! -f ${wheels[0]} || ${#sdists[@]} != 1 || ! -f ${sdists[0]} ]]; then
  printf 'try_package.sh: %q: want one wheel and one sdist\n' "$dist" >&2
  exit 2
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3}" -m venv "$place/wheel"
"$place/wheel/bin/python" -m pip --quiet --disable-pip-version-check install "${wheels[0]}[learn,openvino]"
mkdir "$place/empty"
cd "$place/empty"
export EDGEKD_HOME=$place/home PATH=$place/wheel/bin:$PATH
unset PYTHONPATH
edgekd doctor
edgekd init --source digits --name first
edgekd compress first.yaml --set teacher.train.epochs=1 --set student.train.epochs=1 --set measure.min_time_s=0.01
edgekd verify runs/first/bundle
python -c 'import edgekd, sys; assert "torch" not in sys.modules; print(edgekd.__version__)'

# The wheel that the sdist gives is the wheel: the same files.
"$place/wheel/bin/python" -m pip --quiet --disable-pip-version-check wheel --no-deps --wheel-dir "$place/again" "${sdists[0]}"
list='import sys, zipfile; print("\n".join(sorted(n for n in zipfile.ZipFile(sys.argv[1]).namelist())))'
diff <(python -c "$list" "${wheels[0]}") <(python -c "$list" "$place/again"/*.whl)
printf 'try_package.sh: the wheel and the sdist are good\n'
