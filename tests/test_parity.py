"""The same numbers from other people's libraries, and from two examples small enough to work out by hand."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from tiny_networks import Tiny, pictures, random_network
from torch import nn
from torch.nn import functional as F
from torchcam.methods import CAM

from cam_helpers import CamModel, NotCamCompatible, class_activation_maps

CLASSES = [0, 7, 431]
LAYERS = {
    "resnet18": ("layer4", "fc"), "mobilenet_v2": ("features", "classifier.1"), "densenet121": ("1", "4"),
    "efficientnet_lite0": ("trunk", "head"),
}  # fmt: skip


@pytest.fixture(scope="module", params=LAYERS)
def network(request, lite0):
    """(a network for the others, the layer and the head to tell them, two pictures, what we make of them)"""
    if request.param == "efficientnet_lite0":  # with its weights
        model, images = lite0[0], pictures(2, 96).sigmoid()
    else:
        model, images = random_network(request.param, 96), pictures(2, 96)
    cams = CamModel(model)(images)
    if request.param == "densenet121":  # its last ReLU is a function, which has no layer to hook: written out, it has
        model = nn.Sequential(model.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classifier)
    layer, head = LAYERS[request.param]
    return model.eval(), model.get_submodule(layer), head, images, cams


def same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def test_torchcam_gives_the_same_map_one_class_at_a_time(network):
    model, layer, head, images, cams = network
    for c in CLASSES:
        with CAM(model, layer, head) as extractor:
            (theirs,) = extractor(c, model(images), normalized=False)
        same(cams.maps(c)[:, 0], theirs)


def test_captums_grad_cam_times_the_number_of_places_is_the_map(network):
    model, layer, _, images, cams = network
    for c in CLASSES:
        theirs = LayerGradCam(model, layer).attribute(images, target=c).detach()
        same(cams.maps(c), theirs * theirs[0, 0].numel())


def test_pytorch_grad_cam_is_the_map_clipped_stretched_and_resized(network):
    model, layer, _, images, cams = network
    for c in CLASSES:
        with GradCAM(model=model, target_layers=[layer]) as extractor:
            theirs = extractor(images, targets=[ClassifierOutputTarget(c)] * len(images))
        ours = stretch(F.interpolate(stretch(cams.maps(c).relu()), (96, 96), mode="bilinear"))[:, 0]
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def stretch(maps):
    """To 0–1, each map by its own minimum and maximum."""
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-7)


# -- worked by hand -----------------------------------------------------------------------------------------------


def test_three_channels_of_three_by_three_worked_by_hand():
    """
    f_1: a bright corner    f_2: the middle row    f_3: everywhere
        9 0 0                   0 0 0                  1 1 1
        0 0 0                   3 3 3                  1 1 1
        0 0 0                   0 0 0                  1 1 1
    All three average to 1. "dog" weighs them 2, −1, 3 (bias 0.5), "cat" −1, 4, 0 (bias −1):
        dog = 2·1 − 1·1 + 3·1 + 0.5 = 4.5          cat = −1·1 + 4·1 + 0·1 − 1 = 2
    and at each place
        M_dog:  21 3 3     M_cat:  −9  0  0
                 0 0 0             12 12 12
                 3 3 3              0  0  0
    M_dog sums to 36 and M_cat to 27: averages 4 and 3, which are the scores less their biases.
    """
    features = torch.zeros(1, 3, 3, 3)
    features[0, 0, 0, 0], features[0, 1, 1], features[0, 2] = 9, 3, 1
    model = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    model[3].weight.data = torch.tensor([[2.0, -1, 3], [-1, 4, 0]])
    model[3].bias.data = torch.tensor([0.5, -1])
    cams = CamModel(model.eval())(features)
    assert cams.logits.tolist() == [[4.5, 2]]
    dog = [[21, 3, 3], [0, 0, 0], [3, 3, 3]]
    cat = [[-9, 0, 0], [12, 12, 12], [0, 0, 0]]
    assert cams.maps().tolist() == [[dog, cat]]
    assert cams.maps().mean((2, 3)).tolist() == [[4, 3]] and cams.identity_error() == 0


class OneConvolution(nn.Module):
    """The network of captum's own Grad-CAM tests: two 3×3 filters of ones that see the same sum less 50 and less 75,
    then a dense layer over all 2·2·2 numbers that adds the first five and subtracts the other three."""

    def __init__(self):
        super().__init__()
        self.convolution, self.dense = nn.Conv2d(1, 2, 3), nn.Linear(8, 4)
        nn.init.ones_(self.convolution.weight)
        self.convolution.bias.data = torch.tensor([-50.0, -75])
        self.dense.weight.data = torch.tensor([1.0] * 5 + [-1.0] * 3).repeat(4, 1)
        nn.init.zeros_(self.dense.bias)

    def forward(self, images):
        return F.relu(self.dense(F.relu(self.convolution(images)).flatten(1)))


def test_captums_hand_worked_convolution():
    """
    Pixels 0 … 15 give window sums 45 54 / 81 90, so the filters answer −5 4 / 31 40 and −30 −21 / 6 15.
    The ReLU lets through 3 places of the first filter, whose dense weights are +1, and 2 of the second, with −1:
    averaged over 4 places the gradients weigh the filters 0.75 and −0.5, and
        0.75·(−5 4 / 31 40) − 0.5·(−30 −21 / 6 15) = 11.25 13.5 / 20.25 22.5, captum's expected numbers.
    """
    model, images = OneConvolution().eval(), torch.arange(16.0).view(1, 1, 4, 4)
    by_hand = torch.tensor([[[[11.25, 13.5], [20.25, 22.5]]]])
    same(LayerGradCam(model, model.convolution).attribute(images, target=0).detach(), by_hand)
    features = model.convolution(images).detach()
    same(class_activation_maps(features, torch.tensor([[0.75, -0.5]])), by_hand)
    with pytest.raises(NotCamCompatible):  # a dense layer over places: every place has weights of its own
        CamModel(model)(images)


def test_captums_convolution_under_global_average_pooling_has_those_numbers_as_its_map():
    model = Tiny(lambda net, f: net.head(f.mean((2, 3))), head=nn.Linear(2, 1, bias=False)).eval()
    model.body = OneConvolution().convolution
    model.head.weight.data = torch.tensor([[0.75, -0.5]])
    images = torch.arange(16.0).view(1, 1, 4, 4)
    cams = CamModel(model)(images)
    assert cams.maps().tolist() == [[[[11.25, 13.5], [20.25, 22.5]]]]
    assert cams.logits.item() == (11.25 + 13.5 + 20.25 + 22.5) / 4 and cams.identity_error() == 0
    same(cams.maps(), LayerGradCam(model, model.body).attribute(images, target=0).detach() * 4)
