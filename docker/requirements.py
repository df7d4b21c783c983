"""What an image installs: the requirements of some extras, as setup.cfg names them, a line each.

python docker/requirements.py onnxruntime,openvino
"""

from __future__ import annotations

import configparser
import sys
from pathlib import Path


def main() -> None:
    options = configparser.ConfigParser()
    options.read(Path(__file__).parent.parent / "setup.cfg")
    lines = options["options"]["install_requires"].split("\n")
    for extra in sys.argv[1].split(","):
        lines += options["options.extras_require"].get(extra, "").split("\n")
    for line in lines:
        requirement = line.partition(";")[0].strip()
        if requirement and not requirement.startswith("edgekd["):
            sys.stdout.write(f"{requirement}\n")


if __name__ == "__main__":
    main()
