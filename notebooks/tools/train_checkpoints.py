"""Train the networks that come with the course (make checkpoints); resumes where it was interrupted.

They are listed in data/drawn_world/checkpoints/recipes.yaml: name -> fields that differ from the preset "course".
"""

import yaml

from cam_helpers.training.__main__ import main
from drawn_world.folders import cache_folder, checkpoint_folder


def commands() -> dict[str, list[str]]:
    """name of the checkpoint -> arguments of `python -m cam_helpers.training`"""
    recipes = yaml.safe_load((checkpoint_folder() / "recipes.yaml").read_text(encoding="utf-8"))
    found = {}
    for name, fields in recipes.items():
        options = [word for field, value in fields.items() for word in (f"--{field.replace('_', '-')}", str(value))]
        out, checkpoint = cache_folder() / "training" / name, checkpoint_folder() / f"{name}.safetensors"
        found[name] = ["--preset", "course", *options, "--out", str(out), "--checkpoint", str(checkpoint)]
    return found


if __name__ == "__main__":
    for arguments in commands().values():
        main(arguments)
