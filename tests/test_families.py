"""Other people's networks: families of timm and transformers, with random weights (skipped where not installed).

Either the maps give back what the network itself says, or it is refused, with what its head really does.
"""

import pytest
import torch
from tiny_networks import lively, pictures
from torch import nn

from cam_helpers import CamModel, NotCamCompatible

pytestmark = pytest.mark.slow

RIGHT = """resnet18 resnet50d seresnet50 skresnet18 ecaresnet26t resnext26ts resnest14d res2net50_26w_4s gcresnet33ts
botnet26t_256 halonet26t lambda_resnet26t resnetv2_50 resnetrs50 resnetaa50 resnetblur50 cspresnet50 cspdarknet53
darknet53 cspresnext50 dla34 dpn68 hrnet_w18_small regnetx_002 regnety_002 regnetz_b16 mobilenetv2_050 mnasnet_small
spnasnet_100 fbnetc_100 efficientnet_b0 efficientnet_lite0 tf_efficientnetv2_b0 tinynet_e mixnet_s semnasnet_075
rexnet_100 rexnetr_100 densenet121 inception_v3 inception_v4 inception_resnet_v2 xception41 legacy_xception gernet_s
repvgg_a0 selecsls42b dm_nfnet_f0 nf_resnet50 nf_regnet_b0 vovnet39a ese_vovnet19b_dw mobileone_s0 fastvit_t8 starnet_s1
repvit_m1 efficientformer_l1 efficientformerv2_s0 efficientvit_m0 levit_128s levit_conv_128s mvitv2_tiny nest_tiny_jx
pvt_v2_b0 swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swiftformer_xs twins_svt_small visformer_tiny shvit_s1
mobilevit_xxs mobilevitv2_050""".split()  # noqa: SIM905
REFUSED = {  # -> what the head does
    "convnext_atto": "'head.norm' .*normalises after the pooling",
    "convnextv2_atto": "'head.norm' .*normalises after the pooling",
    "poolformer_s12": "'head.norm' .*normalises after the pooling",
    "davit_tiny": "'head.norm' .*normalises after the pooling",
    "mobilenetv3_small_050": r"'act2' \(Hardswish\) stands between",
    "ghostnet_050": r"'act2' \(ReLU\) stands between",
    "hgnet_tiny": r"'head.last_conv.1' \(ReLU\) stands between",
    "inception_next_atto": r"'head.act' \(GELU\) stands between",
    "deit_tiny_patch16_224": r"'norm' \(LayerNorm\) hands one of its tokens",
    "cait_xxs24_224": "hands one of its tokens",
    "beit_base_patch16_224": r"'fc_norm' \(LayerNorm\) normalises after the pooling",
    "crossvit_tiny_240": "no layer's features alone",
}
BOUND = {"halonet26t"}  # to a size of pictures, though timm does not say so; who is not is judged on small ones
TRANSFORMERS = {  # config and class -> None, or what the head does
    **dict.fromkeys(("ResNet", "MobileNetV1", "MobileNetV2", "RegNet", "Bit", "EfficientNet", "Swin", "Swinv2")),
    **dict.fromkeys(("MobileViT", "MobileViTV2", "PoolFormer", "FocalNet", "SwiftFormer", "TextNet", "Levit")),
    "Cvt": "hands one of its tokens",
    "ConvNext": r"'convnext.layernorm' \(LayerNorm\) normalises after the pooling",
    "ViT": r"\(LayerNorm\) hands one of its tokens",
    "DeiT": r"\(LayerNorm\) hands one of its tokens",
    "Beit": "normalises after the pooling",
}


def judge(model, size, reason):
    images = pictures(3, size)  # three: two branches that are stacked must not pass for two pictures
    lively(model, images)
    for layer in model.modules():  # heads start with very small weights
        if isinstance(layer, nn.Linear) and layer.weight.std() < 0.03:
            layer.weight.data *= 3
    with torch.no_grad():
        scores = model(images)
    scores = scores if isinstance(scores, torch.Tensor) else scores.logits
    if reason is not None:
        with pytest.raises(NotCamCompatible, match=reason):
            CamModel(model)(images)
        return
    cams = CamModel(model)(images)
    assert scores.isfinite().all() and scores.std() > 0
    assert (cams.rebuilt() - scores).abs().max() <= 1e-4 * scores.abs().max()
    assert min(cams.features.shape[2:]) > 1


@pytest.mark.parametrize(("name", "reason"), [*((name, None) for name in RIGHT), *REFUSED.items()])
def test_timm(name, reason):
    timm = pytest.importorskip("timm")
    torch.manual_seed(1)
    model = timm.create_model(name, pretrained=False).eval()
    bound = model.default_cfg.get("fixed_input_size") or name in BOUND
    judge(model, model.default_cfg["input_size"][-1] if bound else 128, reason)


@pytest.mark.parametrize(("name", "reason"), TRANSFORMERS.items())
def test_transformers(name, reason):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = getattr(transformers, name + "Config")(num_labels=10)
    judge(getattr(transformers, name + "ForImageClassification")(config).eval(), 224, reason)
