"""Recipes and sprites are read as if a stranger wrote them; a lecturer's slip is answered with file, key and remedy."""

import pytest

import drawn_world
from drawn_world.sprites import SpriteError, parse
from drawn_world.tasks import load_recipe

SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20" {root}>{inside}</svg>'
BODY = '<g id="body"><rect width="40" height="20" class="c1"/></g>'


@pytest.mark.parametrize(
    "file, old, new, says",
    [
        ("objects", "tilt: ", "tlit: ", "objects.yaml: tilt: is missing"),
        ("objects", "draw: objects", "draw: object", "draw: found 'object'"),
        ("objects", "train: 5000", "train: many", "splits.train: found 'many'"),
        (
            "objects",
            "classes: [cat",
            "classes: [kat",
            r"classes: .*'kat'; add .*sprites/kat-1",
        ),
        ("objects", "length: [0", "length: [9, 0", r"length: found \[9, 0"),
        ("objects", "grounds: [wood", "grounds: [gold", "grounds: .*'gold'.*plaster"),
        ("objects", "light: 0.9", "light: .nan", "camera.light: found nan"),
        ("objects", '["group:clutter"]', "[cat]", "clutter.kinds: 'cat'"),
        ("objects", "about:", "tilt: 3\nabout:", "'tilt' stands twice"),
        ("objects", "about:", "more: 3\nabout:", "unknown key 'more'"),
        ("objects", "about:", "a: &x 1\nb: *x\nabout:", r"aliases"),
        ("objects", "about:", "a: !!python/object/apply:os.getcwd []\nabout:", r"not readable as YAML"),
        ("objects", "about:", "a: [\nabout:", r"not readable as YAML"),
        ("video", "extends: objects", "extends: object", "extends: .*'object'"),
        ("video", "extends: objects", "extends: ../../secret", "extends: there is no"),
        ("video", "extends: objects", "extends: video", "extends: .*'video'"),
        ("scenes", "parts: scenes", "parts: nowhere", "parts: .*recipes/nowhere"),
        (
            "scenes/office",
            "bookshelf: {p: 0.55",
            "bookshelf: {p: 55",
            "office.yaml: things.bookshelf.p: found 55",
        ),
        ("scenes/office", "upon: desk", "upon: dsek", "office.yaml: things.computer.upon: 'dsek'"),
        ("scenes/office", "  clock:", "  klock:", "things.klock.name: .*'klock'"),
        ("scenes/office", "attributes: [working]", "attributes: [wroking]", "'wroking' is not"),
        (
            "scenes-watermarked",
            "scene: kitchen",
            "scene: kitchn",
            "mark.scene: found 'kitchn'.*bathroom",
        ),
        ("concepts", "[scenes, concepts]", "[scenes]", "concepts.yaml: parts: .*phrase"),
        (
            "concepts/cat_on_chair",
            "[dining_room",
            "[dinning_room",
            "like: .*'dinning_room'",
        ),
        (
            "concepts/cat_on_chair",
            "region: [cat, ",
            "region: [cta, ",
            "region: 'cta'.*p: 1",
        ),
        (
            "concepts/cat_on_chair",
            "upon: chair",
            "upon: chiar",
            "cat_on_chair.yaml: things.cat.upon: 'chiar'",
        ),
        ("concepts/cat_on_chair", "\ntwin:", "\ntwn:", "cat_on_chair.yaml: twin: is missing"),
        ("concepts/view_out_of_window", "window: {p: 1", "window: {p: 0.9", "region: 'window'"),
        ("text", "[bakery,", "[bäckerei,", "words.train: .*'bäckerei'"),
        ("text", "[grocery,", "[bakery,", "words.train: 'bakery' stands twice"),
        ("text", "fonts: [letters]", "fonts: [latters]", "fonts: .*'latters'"),
        ("text", "fonts: [letters]", "fonts: [cat]", "fonts: cat-1.svg has no data-gap"),
        ("actions", "kind: guitar", "kind: gitar", "playing_guitar.tool.kind: found 'gitar'"),
        ("actions", "grip: [0.85, 0.74]", "grip: hand", "brushing_teeth.main.grip: found 'hand'"),
        (
            "actions",
            "other: {at: [[-0.2, -0.13], [0.5, 0.62]]}",
            "other: {at: [1, 2]}",
            r"other.at: found \[1, 2\]",
        ),
        (
            "actions",
            "toothbrush: {l",
            "tothbrush: {l",
            "things.tothbrush.name: .*'tothbrush'",
        ),
        ("actions", "figure_thigh, ", "", "actions.yaml: limbs: .*thigh, shin"),
    ],
)
def test_a_slip_is_named(own_data, file, old, new, says):
    path = own_data / "recipes" / f"{file}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(drawn_world.RecipeError, match=says):
        load_recipe(file.split("/")[0])


def test_every_recipe_is_valid():
    for task in drawn_world.TASKS:
        recipe = load_recipe(task)
        assert recipe["classes"] and recipe["version"] >= 1 and min(recipe["splits"].values()) >= 1


def test_an_object_is_added_by_dropping_a_file(own_data):
    (own_data / "sprites" / "flag-1.svg").write_text(SQUARE.format(root='data-groups="emblem"', inside=BODY))
    recipe = own_data / "recipes" / "objects.yaml"
    recipe.write_text(recipe.read_text().replace("classes: [cat", 'classes: ["group:emblem", cat', 1))
    data = drawn_world.load("objects", "val", n=80)
    assert data.classes[0] == "flag" and (data.labels == 0).any()


def test_a_scene_is_added_by_dropping_a_file(own_data):
    (own_data / "recipes" / "scenes" / "attic.yaml").write_text(
        "indoor: true\nperson: [0.5, 0.8]\nregions: {wall: {textures: [wood]}}\nthings: {chair: {p: 0.5}}\n"
    )
    data = drawn_world.load("scenes", "val", n=4)
    assert "attic" in data.classes and drawn_world.frequencies("scenes").loc["attic", "chair"] == 0.5


def test_a_task_is_added_by_dropping_a_file(own_data):
    (own_data / "recipes" / "animals.yaml").write_text("extends: objects\nclasses: [cat, dog, bird]\nlookalikes: []\n")
    assert "animals" in drawn_world.TASKS
    assert drawn_world.load("animals", "val", n=4).classes == ["cat", "dog", "bird"]


def sprite(root="", inside=BODY, before=""):
    return parse((before + SQUARE.format(root=root, inside=inside)).encode(), "thing-1.svg")


def test_a_sprite_is_rendered_with_its_parts_and_palettes():
    inside = (
        '<style>.c1{fill:#ff0000}</style><g id="left"><rect width="20" height="20" class="c1"/></g>'
        '<g id="right"><rect x="15" width="25" height="20" fill="#00f"/></g>'
    )
    thing = sprite('data-palettes="c1:#00ff00" data-size="2"', inside)
    assert (thing.kind, thing.parts, thing.stature, len(thing.palettes)) == ("thing", ("left", "right"), 2.0, 2)
    rgba, parts = thing.raster(0, 30)
    assert rgba.shape == (16 + 4, 32 + 4, 4) and rgba[10, 6].tolist() == [255, 0, 0, 255]
    assert rgba[:2].max() == 0 and rgba[:, -2:].max() == 0, "transparent margins"
    assert parts[10, 6] == 1 and parts[10, 16] == 2 and parts[10, 30] == 2, "later parts cover earlier ones"
    assert thing.raster(1, 30)[0][10, 6].tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize(
    "case, says",
    [
        ({"before": '<!DOCTYPE svg [<!ENTITY a "b">]>'}, "document type"),
        ({"before": "<!-- " + "x" * 65_000 + " -->"}, "64 kB"),
        ({"inside": "<script>1</script>" + BODY}, "<script> is not allowed"),
        ({"inside": '<image href="a.png"/>' + BODY}, "<image> is not allowed"),
        ({"inside": '<g id="a"><use href="other.svg#b"/></g>'}, "outside the file"),
        ({"inside": '<g id="a"><rect fill="url(http://x/y)"/></g>'}, "outside the file"),
        ({"inside": "<style>@import 'a.css';</style>" + BODY}, "outside the file"),
        ({"inside": "<g>"}, "not well-formed"),
        ({"inside": "<rect/>"}, "direct children <g id"),
        ({"inside": BODY + BODY}, "different ids"),
        ({"root": 'data-size="tall"'}, "data-size is not a number"),
        ({"root": 'data-palettes="c1=red"'}, "data-palettes"),
    ],
)
def test_a_sprite_that_cannot_be_used_is_refused(case, says):
    with pytest.raises(SpriteError, match=says) as caught:
        sprite(**case)
    assert str(caught.value).startswith("thing-1.svg: ") and "data/README.md" in str(caught.value)


def test_names_of_sprites():
    with pytest.raises(SpriteError, match=r"<kind>-<number>\.svg"):
        parse(SQUARE.format(root="", inside=BODY).encode(), "My Thing.svg")
