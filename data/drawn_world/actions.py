"""Task drawing `actions`: a jointed person does something, with a tool or with bare hands, among tools nobody uses.

The recipe poses the tool and says where the hands hold it; the elbows follow from that. So pose and tool belong
together, and neither ground nor clothes tell the action.
"""

import math

import numpy as np

from .arrays import DrawnPicture
from .compose import ground_shadow, place_sprite, relief, shade_of, tint
from .objects import Stage, base_of, colouring, drawing, read_camera
from .recipe_reader import pair, within

# In heights of the person, before any pose. The person faces us: `left` is on our right, and `main` is the left hand.
BODY = {
    "head": (0.0, 0.15), "neck": (0.0, 0.28),
    "right_shoulder": (-0.105, 0.32), "right_elbow": (-0.16, 0.47), "right_wrist": (-0.18, 0.62),
    "left_shoulder": (0.105, 0.32), "left_elbow": (0.16, 0.47), "left_wrist": (0.18, 0.62),
    "right_hip": (-0.062, 0.62), "right_knee": (-0.07, 0.785), "right_ankle": (-0.08, 0.945),
    "left_hip": (0.062, 0.62), "left_knee": (0.07, 0.785), "left_ankle": (0.08, 0.945),
}  # fmt: skip
JOINTS = list(BODY)
SIDES = {"main": "left", "other": "right"}
UPPER, FORE = 0.175, 0.175  # shoulder to elbow, elbow to the middle of the hand
PERSON = "person"


def read(reader) -> dict:
    """The keys of an `actions` recipe; see data/drawn_world/recipes/actions.yaml."""
    found = {"height": reader.span("height", low=0.3, high=0.95), "room": reader.span("room", high=0.6)}
    found |= {key: reader.number(key) for key in ("standing", "recoloured")}
    with reader.section("idle") as inner:
        found["idle"] = {key: inner.span(key, high=9, kind=int) for key in ("tools", "props")}
    found |= {key: reader.textures(key) for key in ("grounds", "walls")}
    found |= {key: reader.kinds(key) for key in ("heads", "torsos", "limbs")}
    if len(found["limbs"]) != 4:
        reader.fail("limbs", "name four kinds: thigh, shin, upper arm, forearm")
    found["things"] = {}
    for kind, here in reader.each("things"):
        here.select([kind], "name")
        found["things"][kind] = {"length": here.number("length", low=0.05, high=2)}
        found["things"][kind] |= {"rest": here.span("rest", low=-180, high=180)}
        found["things"][kind] |= {"mark": here.one_of("mark", (True, False), False)}
    found["actions"] = {name: _read_action(here, found["things"]) for name, here in reader.each("actions")}
    if not found["actions"]:
        reader.fail("actions", "no actions; add some")
    found["camera"] = read_camera(reader)
    found["kinds"] = [*found["heads"], *found["torsos"], *found["limbs"], *found["things"]]
    found["solid"] = [kind for kind, thing in found["things"].items() if not thing["mark"]]
    found["props"] = {a["prop"]["kind"] for a in found["actions"].values() if a["prop"]}
    found["classes"], found["object_names"] = list(found["actions"]), [PERSON, *found["solid"]]
    found["part_names"], found["joint_names"] = ["", *reader.sprites.parts(found["kinds"])], JOINTS
    return found


def _read_action(reader, things) -> dict:
    found = {"lean": reader.span("lean", low=-60, high=60), "tool": None, "prop": None}
    if "tool" in reader.values:
        with reader.section("tool") as tool:
            found["tool"] = {"kind": tool.one_of("kind", list(things)), "hold": _point(tool, "hold")}
            found["tool"] |= {"at": _area(tool), "turn": tool.span("turn", low=-180, high=180)}
            found["tool"]["leans"] = tool.one_of("leans", (True, False), False)
    for hand in SIDES:
        with reader.section(hand) as here:
            if "grip" in here.values and not found["tool"]:
                here.fail("grip", "there is no tool to grip; add a tool, or say where the hand is with `at`")
            found[hand] = (_point(here, "grip"), None) if "grip" in here.values else (None, _area(here))
    if "prop" in reader.values:
        with reader.section("prop") as prop:
            found["prop"] = {"kind": prop.one_of("kind", list(things)), "p": prop.number("p")}
            found["prop"] |= {"at": prop.span("at", low=-2, high=2), "foot": prop.number("foot", high=1.5)}
    return found


def _point(reader, key):
    wanted = "write a point of the drawing [across, down], 0 to 1 each"
    return tuple(reader.take(key, good=lambda v: pair(v, lambda c: isinstance(c, int | float)), wanted=wanted))


def _area(reader):
    def good(value):
        return pair(value, lambda side: pair(side, lambda c: within(c, -2, 2)))

    wanted = "write [[from, to], [from, to]]: across and down, in heights of a person"
    return reader.take("at", good=good, wanted=wanted)


def draw(recipe, dice, size: int, difficulty: float, split: str) -> list[DrawnPicture]:
    """One person. Objects: the person, the tool in use if there is one (`tool`: its number from 0, or -1), the rest.

    Arguments as `objects.draw`.
    """
    label = dice.integer(0, len(recipe["classes"]) - 1)
    action = recipe["actions"][recipe["classes"][label]]
    stage = Stage(recipe, dice, size, difficulty)
    figure = Figure(stage, action)
    own = [action[k]["kind"] for k in ("tool", "prop") if action[k]]
    kinds = [PERSON, *(k for k in own[:1] if action["tool"] and k in recipe["solid"])]
    held = len(kinds) - 1
    for key in ("props", "tools"):
        pool = [k for k in recipe["solid"] if k not in own and (k in recipe["props"]) == (key == "props")]
        others = dice.sample(pool, dice.integer(*recipe["idle"][key]))
        for kind in others[: round(len(others) * difficulty)]:
            kinds.append(kind)
            figure.lay(kind, len(kinds))
    if action["prop"] and dice.chance(action["prop"]["p"]):
        kinds.append(action["prop"]["kind"])
        figure.set_down(action["prop"], len(kinds))
    figure.paint(2 * held)
    smallest = max(4, size * size // 1000)  # what the person hides is not listed
    shown = stage.canvas.keep_visible([0 if k <= held else smallest for k in range(len(kinds))])
    extra = {"labels": np.int64(label), "tool": np.int64(held or -1)}
    picture = stage.picture([recipe["object_names"].index(kinds[k]) for k in shown], extra)
    extra["joints"] = figure.joints(stage.mirrored)
    return [picture]


class Figure:
    """A person in a pose, with the tool in hand; everything about it is decided before anything is painted."""

    def __init__(self, stage: Stage, action: dict):
        self.stage = stage
        recipe, dice, d = stage.recipe, stage.dice, stage.difficulty
        self.height = dice.around(recipe["height"], d)
        left, right = (side * self.height for side in recipe["room"])
        self.x, self.foot = dice.between(left, 1 - right), dice.between(max(0.8, self.height + 0.02), 0.97)
        self.lean = dice.between(*action["lean"])
        self.colours = (0, 1, 2), [dice.between(0.75, 1.15)] * 3
        self.outfit, self.build = dice.integer(0, 7), dice.between(0.92, 1.1)
        head, torso = (dice.pick(recipe[key]) for key in ("heads", "torsos"))
        self.drawings = {k: dice.pick(recipe.library.kinds[k]) for k in (head, torso, *recipe["limbs"])}
        self.head, self.torso = head, torso
        self.nod = self.lean + dice.between(-7, 7) * d
        at = {name: (x + dice.between(-0.006, 0.006), y) for name, (x, y) in BODY.items()}
        for side in ("right", "left"):
            apart = dice.between(0.0, 0.05) * (1 if side == "left" else -1)
            at[f"{side}_knee"] = at[f"{side}_knee"][0] + apart * 0.6, at[f"{side}_knee"][1]
            at[f"{side}_ankle"] = at[f"{side}_ankle"][0] + apart, at[f"{side}_ankle"][1]
        for name in ("head", "neck", "right_shoulder", "left_shoulder"):
            at[name] = self._leant(at[name])
        self.at = at
        self.tool, self.tool_colours = self._hold(action["tool"]) if action["tool"] else None, colouring(recipe, dice)
        for hand, side in SIDES.items():
            grip, area = action[hand]
            target = self._on_tool(grip) if grip else self._leant([dice.between(*v) for v in area])
            at[f"{side}_elbow"], at[f"{side}_wrist"] = _arm(at[f"{side}_shoulder"], target, side)

    def _leant(self, point):
        x, y = point[0], point[1] - 0.62
        cos, sin = math.cos(math.radians(self.lean)), math.sin(math.radians(self.lean))
        return cos * x - sin * y, 0.62 + sin * x + cos * y

    def _hold(self, tool):
        """The tool's drawing, palette, length, angle and middle."""
        recipe, dice = self.stage.recipe, self.stage.dice
        sprite, palette = drawing(recipe, dice, tool["kind"])
        turn, at = dice.between(*tool["turn"]), [dice.between(*v) for v in tool["at"]]
        length, middle = recipe["things"][tool["kind"]]["length"], self._leant(at) if tool["leans"] else at
        dx, dy = _turned(sprite, length, turn, tool["hold"])
        return sprite, palette, length, turn, (middle[0] - dx, middle[1] - dy)

    def _on_tool(self, grip):
        sprite, _, length, turn, (x, y) = self.tool
        dx, dy = _turned(sprite, length, turn, grip)
        return x + dx, y + dy

    def _pixels(self, point):
        size = self.stage.size
        return (self.x + point[0] * self.height) * size, (self.foot + (point[1] - 1) * self.height) * size

    def lay(self, kind: str, number: int) -> None:
        """Put a thing somewhere, where nobody uses it."""
        stage, dice = self.stage, self.stage.dice
        length, rest, _ = stage.recipe["things"][kind].values()
        low = min(0.9, stage.horizon + 0.12)
        x, foot, turn = dice.between(0.02, 0.98), dice.between(low, 0.99), dice.between(*rest)
        self._stand(kind, length * dice.between(0.85, 1.05), x * stage.size, foot * stage.size, turn, number)

    def set_down(self, prop: dict, number: int) -> None:
        """Put what the action is done to in its place."""
        length, rest, _ = self.stage.recipe["things"][prop["kind"]].values()
        x, foot = self._pixels((self.stage.dice.between(*prop["at"]), prop["foot"]))
        self._stand(prop["kind"], length, x, foot, self.stage.dice.between(*rest), number)

    def _stand(self, kind, length, x, foot, turn, number):
        stage, dice = self.stage, self.stage.dice
        sprite, palette = drawing(stage.recipe, dice, kind)
        layer = place_sprite(sprite, palette, x, foot, length * self.height * stage.size, turn, flip=dice.chance(0.3))
        layer.y += round(foot) - base_of(layer)
        tint(layer, *colouring(stage.recipe, dice))
        self._paste(layer, number, ground=True)

    def _paste(self, layer, number, ground=False, shade=0.2):
        stage = self.stage
        relief(layer, stage.grain, 0.35, 0.12 * stage.difficulty)
        if ground:
            ground_shadow(stage.canvas, layer, base_of(layer), 0.4)
        shade_of(stage.canvas, layer, stage.size, shade)
        stage.canvas.paste(layer, number)

    def paint(self, tool_number: int) -> None:
        """From back to front: legs, trunk, head, upper arms, tool, forearms with the hands."""
        thigh, shin, arm, forearm = self.stage.recipe["limbs"]
        for side in ("right", "left"):
            self._limb(thigh, f"{side}_hip", f"{side}_knee")
        for side in ("right", "left"):
            self._limb(shin, f"{side}_knee", f"{side}_ankle", ground=True)
        hips = [(a + b) / 2 for a, b in zip(self.at["right_hip"], self.at["left_hip"], strict=True)]
        neck = self.at["neck"]
        self._part(self.torso, [(a + b) / 2 for a, b in zip(neck, hips, strict=True)], 0.36, self.lean, self.build)
        self._part(self.head, self.at["head"], 0.3, self.nod, 1.0)
        for side in ("right", "left"):
            self._limb(arm, f"{side}_shoulder", f"{side}_elbow")
        if self.tool:
            sprite, palette, length, turn, middle = self.tool
            layer = place_sprite(sprite, palette, *self._pixels(middle), length * self.height * self.stage.size, turn)
            tint(layer, *self.tool_colours)
            self._paste(layer, tool_number)
        for side in ("right", "left"):
            self._limb(forearm, f"{side}_elbow", f"{side}_wrist")

    def _limb(self, kind, start, end, ground=False):
        """A limb's joints are half its width from the ends of its drawing."""
        (ax, ay), (bx, by) = self.at[start], self.at[end]
        sprite = self.drawings[kind]
        length = math.hypot(bx - ax, by - ay) * sprite.height / (sprite.height - sprite.width)
        middle, turn = ((ax + bx) / 2, (ay + by) / 2), math.degrees(math.atan2(ax - bx, by - ay))
        self._part(kind, middle, length, turn, 1.0, ground)

    def _part(self, kind, middle, length, turn, stretch, ground=False):
        size = self.height * self.stage.size
        layer = place_sprite(self.drawings[kind], self.outfit, *self._pixels(middle), length * size, turn, stretch)
        tint(layer, *self.colours)
        self._paste(layer, 1, ground)

    def joints(self, mirrored: bool) -> np.ndarray:
        """float32 (J,2), x and y in pixels; in a mirrored picture, left and right are exchanged too."""
        swap = {"left": "right", "right": "left"} if mirrored else {}
        names = [swap.get(n.partition("_")[0], n.partition("_")[0]) + "".join(n.partition("_")[1:]) for n in JOINTS]
        found = np.array([self._pixels(self.at[name]) for name in names], np.float32)
        if mirrored:
            found[:, 0] = self.stage.size - found[:, 0]
        return found


def _turned(sprite, length, turn, point):
    """From the middle of a drawing to a point of it, for a drawing of this length and angle."""
    scale = length / max(sprite.width, sprite.height)
    x, y = (point[0] - 0.5) * sprite.width * scale, (point[1] - 0.5) * sprite.height * scale
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return cos * x - sin * y, sin * x + cos * y


def _arm(shoulder, hand, side):
    """Elbow and hand for a hand that reaches for a place (or towards it, if that is too far away)."""
    dx, dy = hand[0] - shoulder[0], hand[1] - shoulder[1]
    far = max(1e-6, math.hypot(dx, dy))
    reach = min(max(far, 0.07), 0.995 * (UPPER + FORE))
    hand = shoulder[0] + dx * reach / far, shoulder[1] + dy * reach / far
    along = (UPPER**2 - FORE**2 + reach**2) / (2 * reach)
    out = math.sqrt(max(0.0, UPPER**2 - along**2))
    ux, uy = dx / far, dy / far
    both = [(shoulder[0] + ux * along - s * uy * out, shoulder[1] + uy * along + s * ux * out) for s in (-1, 1)]
    outward = 1 if side == "left" else -1
    return max(both, key=lambda e: e[1] + 0.6 * outward * e[0]), hand
