"""The fast pass beside the plain one: ratios, measured in turn.

    OMP_NUM_THREADS=2 python tests/benchmarks/bench_fast_pass.py [repeats]

EfficientNet-Lite0 at 320 pixels, eight pictures at a time (sixteen with one thread, where torch has other kernels for
fewer), and the course's own small network at 64. Every repeat runs plain float32, the fast pass in float32, and the
fast pass in the half precision that the machine has, directly after one another; the table shows the best of each. Exit
code 1 when a ratio is below what is WANTED, or a small network loses.
"""

import sys
import time

import torch

from cam_helpers import gap_network, networks

WANTED = {"float32": 1.7, "half": 2.5}
NEVER = 0.95  # of a network that gains nothing: at least this


def seconds(network, images) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        network(images).sum().item()
    return time.perf_counter() - start


def ratios(network, images, repeats: int) -> dict[str, float]:
    """-> how many times as fast as the plain pass; "half" only where the machine has it"""
    ways = {"plain": network.eval(), "float32": networks.fast(network, low_precision=False)}
    half = networks.fast(network)
    ways |= {"half": half} if half.low else {}
    best = dict.fromkeys(ways, float("inf"))
    for way in [*ways, *repeats * list(ways)]:  # the first round warms up, and can only be the slower
        best[way] = min(best[way], seconds(ways[way], images))
    return {way: best["plain"] / best[way] for way in ways if way != "plain"}


def photos():
    n = 8 if torch.get_num_threads() > 1 else 16
    return networks.pretrained()[0], torch.randint(0, 256, (n, 3, 320, 320), dtype=torch.uint8)


def drawings():
    return gap_network("course", 20), torch.randint(0, 256, (64, 3, 64, 64), dtype=torch.uint8)


def main(repeats: int = 10) -> int:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    slow = False
    for name, case in {"Lite0, 320 px": photos, "course, 64 px": drawings}.items():
        for way, ratio in ratios(*case(), repeats).items():
            wanted = WANTED[way] if case is photos else NEVER
            slow |= ratio < wanted
            print(
                f"{name}, {way}: {ratio:.2f} times as fast as plain float32, at least {wanted:g} is wanted", flush=True
            )
    return int(slow)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
