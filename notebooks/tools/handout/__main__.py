"""Start the command from any folder: python notebooks/tools/handout --help."""

import sys
from pathlib import Path

if __name__ == "__main__":
    tools = Path(__file__).resolve().parents[1]
    # Python puts this folder first, not the package's parent; `grader` makes the assignments as they are given out
    sys.path[:1] = [str(tools), str(tools.parent / "assignments")]
    from handout.command import main

    sys.exit(main())
