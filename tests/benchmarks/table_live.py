"""The live page, measured in Chromium: how soon it shows, how soon it follows, and what its small weights cost.

    python tests/benchmarks/table_live.py
    CAM_TEST_DATA=folder python tests/benchmarks/table_live.py

Milliseconds from an event to the new picture handed to the browser (script, style and layout), and to the end of the
frame that shows it; the first map after opening; sizes; how many boxes stay where they are when the class weights take
8, 12 or 16 bits. With the runtime: maps a second of the browser's own fake camera, and, on the ILSVRC photos of
`imagenet_val260` where they are, how often the small network has the first word that PyTorch has in float32. Two
minutes.
"""

import base64
import functools
import http.server
import os
import statistics
import sys
import tempfile
import threading
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright
from torchvision.transforms import v2

import photo_sets
from cam_helpers import CamModel, boxes_from_maps, networks, pictures
from cam_helpers.maps import class_activation_maps, resize

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "notebooks" / "site"), str(ROOT / "tests")]

from browsing import CHROMIUM  # noqa: E402
from live.export import export, photographs  # noqa: E402
from live.network import whole_numbers  # noqa: E402

FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
FOLLOW = """async () => {
    const done = {};
    const measure = async (name, act) => {
        const drawn = [], shown = [];
        for (let i = 0; i < 60; i++) {
            await new Promise(requestAnimationFrame);
            const start = performance.now();
            act(i);
            document.body.getBoundingClientRect();
            drawn.push(performance.now() - start);
            await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
            shown.push(performance.now() - start);
        }
        done[name] = [drawn, shown];
    };
    await measure("class", i => choose("a", 16 * i));
    ask("box");
    const slider = $("threshold");
    await measure("threshold", i => { slider.value = i; slider.dispatchEvent(new Event("input")); });
    ask("units");
    await measure("unit off", i => $("units").querySelectorAll("button")[i % 10].click());
    return done;
}"""
LOOK = """async text => {
    const start = performance.now(), found = await look(bytes(text), 224, 224);
    return [[...found.scores], performance.now() - start];
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def main() -> None:
    boxes_by_bits()
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder, "live"))
        sizes = {path.name: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}
        heavy = {name: size for name, size in sizes.items() if name.startswith(("ort", "network"))}
        print(f"the page without its network: {(sum(sizes.values()) - sum(heavy.values())) / 1e6:.2f} MB")
        print("".join(f"    {name}: {size / 1e6:.2f} MB\n" for name, size in heavy.items()), end="")
        handler = functools.partial(Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            measure(browser, Path(folder, "live"), f"http://127.0.0.1:{server.server_port}/live/index.html", heavy)
            browser.close()
        server.shutdown()


def boxes_by_bits() -> None:
    """The box at 20 % of ten first and ten other words of each stored picture, by the bits of a class weight."""
    model, same, total = CamModel(networks.pretrained()[0]), dict.fromkeys((8, 12, 16), 0), 0
    for photo, _ in photographs().values():
        seen = pictures.fit(photo)
        cams = model(seen[None])
        classes = [*cams.logits[0].topk(10).indices.tolist(), *range(40, 1000, 96)]

        def boxes(weight, cams=cams, size=tuple(seen.shape[1:])):
            maps = class_activation_maps(cams.features, weight)
            return [box.tolist() for box in boxes_from_maps(resize(maps, size)[0])]

        exact = boxes(cams.weight[classes])
        total += len(exact)
        for bits in same:
            whole, scales = whole_numbers(cams.weight[classes], bits)
            same[bits] += sum(a == b for a, b in zip(exact, boxes(whole * scales), strict=True))
    for bits, count in same.items():
        print(f"class weights in {bits} bits: the box of float32 in {count} of {total}")


def measure(browser, folder, address, heavy) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto((folder / "index.html").as_uri())
    page.wait_for_function("typeof state !== 'undefined' && state.map")
    print(f"first map: {page.evaluate('LIVE.firstMap'):.0f} ms after opening, from a folder")
    for name, (drawn, shown) in page.evaluate(FOLLOW).items():
        print(
            f"{name}: {statistics.median(drawn):.1f} ms drawn, {statistics.median(shown):.1f} ms shown (medians of 60)"
        )
    if not heavy:
        return
    page = browser.new_context(permissions=["camera"]).new_page()
    page.goto(address)
    page.get_by_role("link", name="Your photo").click()
    page.wait_for_function("network.session", timeout=120_000)
    print(
        f"network ready {page.evaluate('network.ready'):.0f} ms after asking for it, {page.evaluate('network.engine')}"
    )
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function("camera.times.length === 20", timeout=60_000)
    print("camera:", page.locator("#speed").inner_text())
    page.get_by_role("button", name="Stop the camera").click()
    photos = Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / "imagenet_val260"
    if (photos / "boxes.csv").is_file():
        first_words(page, photo_sets.open("ilsvrc_csv", photos, check=False))


def first_words(page, photos) -> None:
    network, same, differences, times, right = networks.pretrained()[0], [], [], [], []
    for picture, label in zip(photos.images, photos.labels.tolist(), strict=True):
        seen = v2.functional.resize(picture, [224, 224])
        with torch.no_grad():
            logits = network(seen[None])[0]
        rgba = torch.cat([seen, seen[:1]]).permute(1, 2, 0).contiguous()
        scores, time = page.evaluate(LOOK, base64.b64encode(rgba.numpy().tobytes()).decode())
        scores = torch.tensor(scores)
        same.append(int(scores.argmax() == logits.argmax()))
        right.append((int(logits.argmax() == label), int(scores.argmax() == label)))
        differences.append(float((scores - logits).abs().max()))
        times.append(time)
    print(f"{len(same)} photos, the small network: the first word of float32 on {statistics.mean(same):.1%}")
    before, after = (statistics.mean(column) for column in zip(*right, strict=True))
    print(f"first word right: {before:.1%} in float32, {after:.1%} with the small network")
    print(f"largest difference of a score: median {statistics.median(differences):.2f}, most {max(differences):.2f}")
    print(f"{statistics.median(times):.0f} ms a picture")


if __name__ == "__main__":
    main()
