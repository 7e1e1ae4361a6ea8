"""What a student wrote, made safe to open: no script, no style, nothing fetched from elsewhere, formulas as MathML."""

import html
import re

import nh3
from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor

LONGEST_TEXT, LONGEST_FORMULA = 200_000, 3_000  # characters that are converted
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[\w+/=\s]*")
LINK = re.compile(r"(https?:|mailto:|#)", flags=re.I)
TAGS = """math mrow mi mo mn mfrac msub msup msubsup msqrt mroot mtext mtable mtr mtd munder mover munderover mspace
mstyle mpadded mphantom"""  # of formulas
ATTRIBUTES = nh3.ALLOWED_ATTRIBUTES | {"math": {"display"}, "mo": {"stretchy", "fence"}, "mi": {"mathvariant"}}
PICTURES = ("image/png", "image/jpeg")


def clean(text: str) -> str:
    """HTML without scripts, styles, classes, and pictures from elsewhere."""
    schemes = {"http", "https", "mailto", "data"}
    return nh3.clean(
        text,
        tags=nh3.ALLOWED_TAGS | set(TAGS.split()),
        attributes=ATTRIBUTES,
        url_schemes=schemes,
        attribute_filter=_attribute,
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    allowed = {"src": PICTURE.fullmatch, "href": LINK.match}.get(name)
    return None if allowed and not allowed(value) else value


def markdown(text: str, attachments: dict | None = None) -> str:
    """Markdown -> clean HTML."""
    if len(text) > LONGEST_TEXT:
        return f"<pre>{html.escape(text[:LONGEST_TEXT])}\n(the rest was left out)</pre>"
    renderer = _Renderer(escape=False, exclude_anchor_links=True, attachments=attachments)
    return clean(MarkdownWithMath(renderer=renderer).render(text))


class _Renderer(IPythonRenderer):
    """Formulas become MathML, which browsers show without a script."""

    def inline_math(self, body, display="inline"):
        try:
            if len(body) <= LONGEST_FORMULA:
                return convert(body, display=display)
        except Exception:  # it raises all kinds of errors where a formula is no formula
            pass
        return f"<code>{html.escape(body)}</code>"

    def block_math(self, body):
        return self.inline_math(body, "block")

    def latex_environment(self, name, body):
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


class MakeSafe(NbGraderPreprocessor):
    """The last step of autograding, so that the formgrader, too, shows a safe copy."""

    def preprocess_cell(self, cell, resources, cell_index):
        if cell.cell_type == "code":
            cell.outputs = [safe for output in cell.outputs if (safe := self.output(output, cell.outputs))]
        elif not utils.is_locked(cell):
            # one line, without what Markdown or a formula's script would read in it
            shown = markdown(cell.source, cell.pop("attachments", {}))
            for sign in "\n$\\":
                shown = shown.replace(sign, f"&#{ord(sign)};")
            cell.cell_type, cell.source = "markdown", f"<div>{shown}</div>"
        return cell, resources

    def output(self, output, others: list):
        """The output with a picture or text that is safe; None where nothing is left."""
        if output.output_type in ("stream", "error"):
            return output
        data, kept = output.data, {}
        for kind in PICTURES:
            if kind in data and PICTURE.fullmatch(f"data:{kind};base64,{data[kind]}"):
                kept[kind] = data[kind]
        if "text/html" in data:
            kept["text/html"] = clean(str(data["text/html"]))
        elif "text/markdown" in data or "text/latex" in data:
            kept["text/html"] = markdown(str(data.get("text/markdown") or data["text/latex"]))
        if "text/plain" in data:
            kept["text/plain"] = str(data["text/plain"])
        alts = {kind: alt_text(output, kind) for kind in kept if kind in PICTURES}
        described = {alt_text(other, kind) for other in others for kind in other.get("data", {}) if kind in PICTURES}
        hidden = _line(html.unescape(nh3.clean(kept.get("text/html", ""), tags=set())))
        if not kept or (hidden and hidden in described):  # `pictures.show` repeats it for screen readers
            return None
        metadata = {kind: {"alt": alt} for kind, alt in alts.items() if alt}
        return new_output("display_data", data=kept, metadata=metadata)


def alt_text(output, kind: str) -> str:
    """The description of a picture, as one line that can stand in an attribute."""
    facts = output.get("metadata", {})
    facts = facts.get(kind) if isinstance(facts, dict) else {}
    return _line(str(facts.get("alt", ""))) if isinstance(facts, dict) else ""


def _line(text: str) -> str:
    return " ".join(re.sub(r'[<>&"\']', " ", text).split())
