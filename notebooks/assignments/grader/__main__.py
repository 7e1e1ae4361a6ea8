"""Start the commands from any folder: python notebooks/assignments/grader --help."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # Python puts this folder there, not the package's parent
    from grader.commands import main

    sys.exit(main())
