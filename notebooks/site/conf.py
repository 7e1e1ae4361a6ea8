"""Sphinx reads this. `make site` copies the lessons to a folder of their own first: see site.py."""

from reading import MATHJAX

project = "Class activation mapping, measured"
copyright = "the course's authors. Lessons CC-BY-4.0, code MIT"
extensions = ["myst_nb"]
root_doc = "index"
html_theme = "furo"
html_title = project
html_static_path = ["style.css", "pages.js", str(MATHJAX)]
html_css_files = ["style.css"]
html_js_files = ["pages.js"]
pygments_dark_style = "github-dark"
html_copy_source = False
html_show_sphinx = False
mathjax_path = MATHJAX.name
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the stored outputs
nb_merge_streams = True
nb_render_markdown_format = "myst"  # tables in outputs too
nb_ipywidgets_js = {}
