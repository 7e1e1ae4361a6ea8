"""What single units look for, and what each is worth to a class (lesson 11; Zhou et al., CVPR 2016, section 5)."""

from .dissection import Dissection, activation_thresholds
from .fields import receptive_field, theoretical_field
from .top import TopPictures, unit_regions
from .words import bag_of_words, rank_units, switch_off

__all__ = [
    "Dissection", "TopPictures", "activation_thresholds", "bag_of_words", "rank_units",
    "receptive_field", "switch_off", "theoretical_field", "unit_regions",
]  # fmt: skip
