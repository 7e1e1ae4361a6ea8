"""Archives made by strangers: nothing is written outside the folder, and half an archive leaves nothing behind."""

import errno
import io
import os
import tarfile
import zipfile

import pytest
from dataset_trees import picture_bytes, put

import photo_sets

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")


def hostile_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/a.jpg", picture_bytes())
        archive.writestr("../outside.txt", "x")
        archive.writestr("/tmp_absolute.txt", "x")
        archive.writestr("cat/../../outside.txt", "x")
        archive.writestr("..\\outside.txt", "x")
        link = zipfile.ZipInfo("cat/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc")
        archive.writestr("cat/link/hosts2", "x")


def hostile_tar(path):
    with tarfile.open(path, "w:gz") as archive:

        def member(name, data=b"x", **kind):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in kind.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))

        member("cat/a.jpg", picture_bytes())
        member("../outside.txt")
        member("/tmp_absolute.txt")
        member("cat/../../outside.txt")
        member("cat/link", b"", type=tarfile.SYMTYPE, linkname="/etc")
        member("cat/pipe", b"", type=tarfile.FIFOTYPE)


@pytest.mark.parametrize(("name", "make", "refused"), [("p.zip", hostile_zip, 5), ("p.tar.gz", hostile_tar, 5)])
def test_archives_cannot_write_outside_their_folder(tmp_path, name, make, refused):
    place = tmp_path / "deep" / "place"
    place.mkdir(parents=True)
    make(place / name)
    ds = photo_sets.open("imagefolder", place / name)
    assert [os.path.relpath(p, place) for p in ds.paths] == ["p/cat/a.jpg"]
    left_out = [p for p in ds.problems if p.action == "member left out"]
    assert len(left_out) == refused and all("outside" in p.reason or "link" in p.reason for p in left_out)
    everything = {os.path.relpath(os.path.join(at, f), tmp_path) for at, _, files in os.walk(tmp_path) for f in files}
    allowed = {"deep/place/p/cat/link/hosts2", "deep/place/p/.unpacked.json"}
    assert everything - allowed == {f"deep/place/{name}", "deep/place/p/cat/a.jpg"}
    assert not os.path.exists("/tmp_absolute.txt") and not any(
        os.path.islink(p) for p in (place / "p" / "cat").iterdir()
    )


def test_damaged_and_swollen_archives_leave_nothing_behind(tmp_path):
    hostile_tar(tmp_path / "whole.tar.gz")
    data = (tmp_path / "whole.tar.gz").read_bytes()
    for name, content in {"cut.tar.gz": data[: len(data) // 2], "no.zip": b"not an archive"}.items():
        put(tmp_path / name, content)
        with pytest.raises(ValueError, match="cannot be unpacked"):
            photo_sets.unpack(tmp_path / name, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "big.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    with pytest.raises(ValueError, match="more than"):
        photo_sets.unpack(tmp_path / "big.zip", tmp_path / "out", max_bytes=9_000_000)
    with pytest.raises(FileExistsError):
        photo_sets.unpack(tmp_path / "big.zip", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.zip", "cut.tar.gz", "no.zip", "whole.tar.gz"]


def test_a_replaced_archive_is_not_taken_for_the_old_one(tmp_path):
    archive = tmp_path / "pets.zip"
    hostile_zip(archive)
    first = photo_sets.open("imagefolder", archive)
    assert photo_sets.open("imagefolder", archive).problems == first.problems != []  # what was left out is said again
    with zipfile.ZipFile(archive, "w") as new:
        new.writestr("dog/b.jpg", picture_bytes(seed=1))
    with pytest.raises(FileExistsError, match=r"has changed.*move"):
        photo_sets.open("imagefolder", archive)
    (tmp_path / "pets").rename(tmp_path / "old")
    assert photo_sets.open("imagefolder", archive).classes == ["dog"]


def test_a_disk_that_is_full_after_unpacking_leaves_no_half_file(tmp_path, monkeypatch):
    hostile_zip(tmp_path / "pets.zip")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "fsync", full)
        photo_sets.open("imagefolder", tmp_path / "pets.zip")
    assert not list((tmp_path / "pets").glob(".*"))
    assert len(photo_sets.open("imagefolder", tmp_path / "pets.zip")) == 1


def test_a_folder_unpacked_by_hand_is_used(tmp_path):
    hostile_zip(tmp_path / "pets.zip")
    put(tmp_path / "pets" / "dog" / "b.jpg", picture_bytes())
    assert photo_sets.open("imagefolder", tmp_path / "pets.zip").classes == ["dog"]


def test_a_zip_made_on_a_mac(tmp_path):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for name in ("cat/a.jpg", "dog/b.jpg"):
            archive.writestr(f"pets/{name}", picture_bytes())
            archive.writestr(f"__MACOSX/pets/{name.replace('/', '/._')}", b"x")
    ds = photo_sets.open("imagefolder", tmp_path / "pets.zip")
    assert ds.classes == ["cat", "dog"] and len(ds) == 2 and not ds.problems
