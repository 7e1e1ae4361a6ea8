"""Data that are not there: what is said at once, and the road of every download with a server on this machine."""

import functools
import hashlib
import http.server
import shutil
import socket
import tarfile
import threading
import time

import pytest
import torchvision
from dataset_trees import ade_tree, imagenette_tree, pets_tree, voc_tree

import photo_sets


@pytest.mark.parametrize("name", list(photo_sets.FORMATS))
def test_missing_data_say_at_once_where_to_get_them(name, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nobody asked for the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    started = time.perf_counter()
    with pytest.raises(photo_sets.MissingData) as caught:
        photo_sets.open(name, tmp_path / "nothing")
    assert time.perf_counter() - started < 2
    words = str(caught.value)
    assert "nothing" in words
    assert name == "imagefolder" or "http" in words
    assert ("download=True" in words) == (name not in ("imagefolder", "ilsvrc_csv", "icdar2015"))


@pytest.mark.parametrize("name", ["pets", "imagenette", "voc2007", "ade20k_scenes", "coco"])
def test_offline_means_no_network(name, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("went to the network"))
    monkeypatch.setenv("CAM_OFFLINE", "1")
    with pytest.raises(photo_sets.MissingData, match=r"CAM_OFFLINE is set: unset it, or get it by hand: .*http"):
        photo_sets.open(name, tmp_path, download=True)


def test_offline_an_archive_that_is_there_is_unpacked(tmp_path, monkeypatch):
    ade_tree(tmp_path / "made")
    shutil.make_archive(str(tmp_path / "ADEChallengeData2016"), "zip", tmp_path / "made")
    monkeypatch.setattr(photo_sets.ade20k, "SHA1", "")
    monkeypatch.setenv("CAM_OFFLINE", "1")
    assert len(photo_sets.open("ade20k_scenes", tmp_path)) == 3


@pytest.mark.parametrize("name", ["pets", "imagenette", "voc2007", "ade20k_scenes", "coco"])
def test_a_failed_download_says_how_to_do_it_by_hand(name, tmp_path, monkeypatch):
    def unplugged(*_, **__):
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", unplugged)
    monkeypatch.setattr(photo_sets.downloads, "PAUSE", 0)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(photo_sets.MissingData, match=r"download failed.*no network.*by hand: .*http"):
        photo_sets.open(name, tmp_path, download=True)
    assert socket.getdefaulttimeout() is None


def test_download_does_nothing_when_the_data_are_there(tmp_path, monkeypatch):
    voc_tree(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("went to the network"))
    assert len(photo_sets.open("voc2007", tmp_path, "test", download=True)) == 1


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder whose files can be had at shop.url: nothing leaves this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    class Folder(type(tmp_path)):
        url = ""

    folder = Folder(tmp_path / "shop")
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        Folder.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()


def packed(folder, archive, mode):
    with tarfile.open(archive, f"w{mode}") as tar:
        for part in sorted(folder.iterdir()):
            tar.add(part, part.name)
    return f"{archive.url}/{archive.name}", hashlib.md5(archive.read_bytes()).hexdigest()


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("name", ["pets", "imagenette", "voc2007", "ade20k_scenes"])
def test_download_unpacks_checks_and_opens(name, damaged, shop, tmp_path, monkeypatch):
    """The real road of every download, with a local archive in the place of the published one."""
    root = tmp_path / "root"
    if name == "pets":
        base = pets_tree(tmp_path / "made")
        resources = []
        for part in ("images", "annotations"):
            (shop / part).mkdir()
            (base / part).rename(shop / part / part)
            resources.append(packed(shop / part, shop / f"{part}.tar.gz", ":gz"))
        if damaged:
            resources[1] = (resources[1][0], "0" * 32)
        monkeypatch.setattr(torchvision.datasets.OxfordIIITPet, "_RESOURCES", tuple(resources))
    elif name == "imagenette":
        imagenette_tree(tmp_path / "made")
        url, md5 = packed(tmp_path / "made", shop / "imagenette2-320.tgz", ":gz")
        archives = {"320px": (url, "0" * 32 if damaged else md5)}
        monkeypatch.setattr(torchvision.datasets.Imagenette, "_ARCHIVES", archives)
    elif name == "voc2007":
        voc_tree(tmp_path / "made")
        url, md5 = packed(tmp_path / "made", shop / "voc.tar", "")
        facts = dict(torchvision.datasets.voc.DATASET_YEAR_DICT["2007"], url=url, md5="0" * 32 if damaged else md5)
        monkeypatch.setitem(torchvision.datasets.voc.DATASET_YEAR_DICT, "2007", facts)
    else:
        ade_tree(tmp_path / "made")
        archive = shop / "ADEChallengeData2016.zip"
        shutil.make_archive(str(archive.with_suffix("")), "zip", tmp_path / "made")
        monkeypatch.setattr(photo_sets.ade20k, "URL", f"{shop.url}/{archive.name}")
        if not damaged:
            monkeypatch.setattr(photo_sets.ade20k, "SHA1", hashlib.sha1(archive.read_bytes()).hexdigest())
    if damaged:
        with pytest.raises(photo_sets.MissingData, match=r"download failed.*(corrupted|damaged)"):
            photo_sets.open(name, root, download=True)
    else:
        ds = photo_sets.open(name, root, download=True)
        assert len(ds) > 1 and not ds.problems
        shutil.rmtree(shop)  # the second time nothing is fetched
        assert len(photo_sets.open(name, root, download=True)) == len(ds)
