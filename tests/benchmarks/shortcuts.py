"""Are there short cuts in the tasks? Linear classifiers on colours and on coarse pixels, against a small GAP network.

python tests/benchmarks/shortcuts.py --write data/README.md      # puts the numbers into the data sheet
"""

import argparse
import warnings
from pathlib import Path

import torch
from scipy.stats import binomtest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

import drawn_world

START, END = "<!-- shortcuts: written by tests/benchmarks/shortcuts.py -->", "<!-- end of shortcuts -->"


def histograms(images):
    """8×8×8 colour histograms, (N,512), square roots of the shares."""
    bins = (images >> 5).long()
    index = (bins[:, 0] * 64 + bins[:, 1] * 8 + bins[:, 2]).flatten(1)
    counts = torch.zeros(len(images), 512).scatter_add_(1, index, torch.ones_like(index, dtype=torch.float))
    return (counts / index.shape[1]).sqrt().numpy()


def coarse_pixels(images):
    """Pictures of 16×16 pixels as rows, (N,768)."""
    return nn.functional.adaptive_avg_pool2d(images.float() / 255, 16).flatten(1).numpy()


def linear(features, train, test):
    """Best test accuracy over models and regularisations, chosen on the test set: an upper bound."""
    a, b = features(train.images), features(test.images)
    best = 0.0
    for model in [*(LogisticRegression(C=c, max_iter=100) for c in (1e-4, 1e-3, 1e-2)), LinearSVC(C=1e-4, dual=False)]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            score = make_pipeline(StandardScaler(), model).fit(a, train.labels).score(b, test.labels)
        print(f"  {model}: {score:.3f}", flush=True)
        best = max(best, score)
    return best


def gap_network(train, test, epochs=14, seed=0):
    """Test accuracy of five convolutions, global average pooling and a linear layer."""
    torch.manual_seed(seed)
    layers, before = [], 3
    for width, stride, side in ((32, 2, 5), (64, 1, 3), (96, 2, 3), (128, 1, 3), (192, 1, 3)):
        layers += [nn.Conv2d(before, width, side, stride, side // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, len(train.classes)))
    net = net.to(memory_format=torch.channels_last)
    steps = epochs * -(-len(train) // 32)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for epoch in range(epochs):
        net.train()
        for batch in torch.randperm(len(train)).split(32):
            images = train.images[batch].float() / 127.5 - 1
            flip = torch.rand(len(batch)) < 0.5
            images[flip] = images[flip].flip(-1)
            loss = nn.functional.cross_entropy(net(images), train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            said = torch.cat([net(x.float() / 127.5 - 1).argmax(1) for x in test.images.split(250)])
        score = (said == test.labels).float().mean().item()
        print(f"  epoch {epoch + 1}: loss {loss.item():.3f}, test accuracy {score:.3f}", flush=True)
    wrong = [(test.classes[a], test.classes[b]) for a, b in zip(test.labels, said, strict=True) if a != b]
    pairs = {frozenset(p) for p in train.lookalikes}
    print(f"  {sum(frozenset(w) in pairs for w in wrong)} of {len(wrong)} errors are within a look-alike pair")
    return score


def commonest(test):
    """Accuracy of always saying the class that is commonest in the test set."""
    return test.labels.bincount().max().item() / len(test)


def with_interval(share, count):
    """The accuracy with its 95 % interval (Wilson) for this many test pictures."""
    low, high = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main():
    """Print the numbers; with --write, put them into the table between the two marks of a Markdown file."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--write", type=Path)
    options.add_argument("--epochs", type=int, default=14)
    options.add_argument("--tasks", nargs="*", default=["objects", "text", "actions", "concepts"])
    options.add_argument("--only", choices=("linear", "network"))
    given = options.parse_args()
    for task in given.tasks:
        train, test = drawn_world.load(task, "train"), drawn_world.load(task, "test")
        found = {"always the commonest class": with_interval(commonest(test), len(test))}
        if given.only != "network":
            found["linear, 8×8×8 colour histogram"] = with_interval(linear(histograms, train, test), len(test))
            found["linear, 16×16 pixels"] = with_interval(linear(coarse_pixels, train, test), len(test))
        if given.only != "linear":
            score = with_interval(gap_network(train, test, given.epochs), len(test))
            found["GAP network, 5 convolutions"] = f"{score}, {given.epochs} epochs"
        print(task, found, flush=True)
        if given.write:
            write(given.write, task, found)


def write(path, task, found):
    """Put the numbers of a task into the table; those that were not measured now stay."""
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(START)
    table, tail = rest.split(END)
    rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.strip().splitlines()]
    known = {row[0].strip("`"): dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}
    known[task] = known.get(task, {}) | found
    names = [*rows[0][1:], *(n for n in found if n not in rows[0])]
    lines = [[rows[0][0], *names], ["---"] * (len(names) + 1)]
    lines += [[f"`{t}`", *(cells.get(n, "") for n in names)] for t, cells in known.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    path.write_text(f"{head}{START}\n{table}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
