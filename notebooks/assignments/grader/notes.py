"""What the table says of a submission, so that a person looks at it."""

import ast
import contextlib
import re

REPLACED = re.compile(r"[A-Za-z_][\w.]{0,60}")  # what the kernel, in which student code lives, may say was replaced
MOST_REPLACED = 10
# Nobody needs these for an answer: they reach the tests that run, change what belongs to others, or hide what is done.
WORDS = """_getframe _current_frames currentframe f_back f_locals settrace setprofile gc ctypes threading _thread Thread
multiprocessing subprocess builtins __builtins__ __import__ get_ipython ipykernel displayhook __torch_function__
__torch_dispatch__ __eq__ __code__ __class__ setattr globals exec"""
UNUSUAL = frozenset(WORDS.split())


def unusual(sources: list[str]) -> list[str]:
    """A note that names what is unusual in the code cells of a student; none if nothing is."""
    found = set()
    for source in sources:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            for node in ast.walk(ast.parse(source)):
                words = [getattr(node, kind, None) for kind in ("id", "attr", "name", "module")]
                found |= {word for word in words if isinstance(word, str)} & UNUSUAL
    return [f"worth a look: {', '.join(sorted(found))}"] if found else []


def replaced(names: list[str]) -> list[str]:
    """A note on what a student's code replaced, from what the kernel says."""
    fine = dict.fromkeys(name for name in names if isinstance(name, str) and REPLACED.fullmatch(name))
    return [f"replaced {', '.join(list(fine)[:MOST_REPLACED])}"] if fine else []
