"""Settings of `make site`: the pages of the repository as they lie there, with Sphinx and MyST-NB.

The source folder is the clone itself, so that links hold here as they do where the repository is read. Notebooks are
shown with their committed outputs and never executed.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import reidlib  # noqa: E402

project, author, release = "reidlib", "reidlib contributors", reidlib.__version__
root_doc = "README"
include_patterns = [
    "README.md",
    "C*.md",
    "data/README.md",
    "figures/README.md",
    "docs/*.md",
    "docs/site/*.md",
    "docs/api/*.rst",
]
include_patterns += ["notebooks/*.ipynb", "notebooks/solutions/*.ipynb", "reidlib/methods/*/README.md"]
include_patterns += ["reidlib/published/weights/README.md"]
exclude_patterns = [".venv", "build", "data/twins", "data/cache", "data/lent", "lab", "runs", "**/.ipynb_checkpoints"]

extensions = ["myst_nb", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
suppress_warnings = [
    "myst.header",
    "mystnb.unknown_mime_type",
    "ref.python",
]  # the last: a name that is made in two places

apidoc_modules = [{"path": str(ROOT / "reidlib"), "destination": "docs/api", "max_depth": 1, "module_first": True}]
viewcode_follow_imported_members = False
autodoc_default_options = {"ignore-module-all": True}  # a name is described where it is made
autodoc_member_order = "bysource"
napoleon_use_ivar = True
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100

html_theme = "pydata_sphinx_theme"
html_title = "reidlib"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_theme_options = {
    "github_url": "https://github.com/reidlib/reidlib",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {page: [] for page in ("README", "figures/README", "docs/results")}
highlight_language = "none"  # of blocks that name none
html_show_sourcelink = html_copy_source = False

CONTENTS = """
```{toctree}
:hidden:
:caption: Start
Lessons <docs/site/lessons>
Results <docs/results>
Figures <figures/README>
Guide <docs/site/guide>
Reference <docs/api/modules>
```
"""


def prepare(app, docname, source):
    """Give the first page its contents, the figures thumbnails, and hide what notebooks hide."""
    if docname == root_doc:
        source[0] += CONTENTS
    elif docname == "figures/README":
        source[0] = re.sub(r"\[([\w-]+)\]\(([\w-]+\.png)\)", thumbnail, source[0])
    elif docname.startswith("notebooks/"):
        page = json.loads(source[0])
        for cell in page["cells"]:
            if cell["metadata"].get("jupyter", {}).get("source_hidden"):
                cell["metadata"]["tags"] = ["hide-input"]
        source[0] = json.dumps(page)


def thumbnail(found):
    """A figure's name, under a picture of 240 pixels that leads to the figure itself."""
    file = ROOT / "build" / "thumbnails" / found[2]
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(ROOT / "figures" / found[2]) as image:
        image.thumbnail((480, 360))
        image.convert("RGB").save(file, optimize=True)
    return f"[![{found[1]}](/build/thumbnails/{found[2]})]({found[2]}) {found[1]}"


def add_front_door(app, error):
    """The first page is README; ``index.html`` is the same page."""
    if error is None:
        shutil.copy(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app):
    """Connect both to Sphinx."""
    app.connect("source-read", prepare)
    app.connect("build-finished", add_front_door)
