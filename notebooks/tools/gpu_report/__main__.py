"""Start the report from any folder, in a clone that need not be installed: python notebooks/tools/gpu_report --help."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

if __name__ == "__main__":
    # Python puts this folder first, not the package's parent; `tests` has the small networks that parts train
    sys.path[:1] = [str(ROOT / folder) for folder in (".", "data", "notebooks", "notebooks/tools", "tests")]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:5])  # for the commands that parts start
    try:
        from gpu_report.command import main
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed here. The report needs PyTorch and torchvision at least.")
    sys.exit(main())
