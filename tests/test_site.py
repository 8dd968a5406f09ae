"""`make site`: built without a warning, and no link inside it leads nowhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest


class Page(HTMLParser):
    """Where a page leads, and the places in it."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.places = set(), set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value and tag != "link":
                self.links.add(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


def broken(site: Path) -> list[str]:
    """Links between pages and files of a site that lead to nothing, by page."""
    pages = {
        file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html") if "_static" not in file.parts
    }
    found = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            place = unquote(parts.fragment)
            if not target.exists() or (place and target in pages and place not in pages[target].places):
                found.append(f"{file.relative_to(site)}: {link}")
    return found


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text('<p id="here">text</p>')
    links = ["there.html", "there.html#here", "there.html#nowhere", "gone.html", "https://example.org/gone", "#me"]
    text = "".join(f'<a href="{link}">x</a>' for link in links)
    (tmp_path / "index.html").write_text(f'<div id="me">{text}<img src="gone.png"></div>')
    assert {line.split(": ")[1] for line in broken(tmp_path.resolve())} == {
        "there.html#nowhere",
        "gone.html",
        "gone.png",
    }


def test_every_page_of_docs_has_its_place_on_the_site(repository: Path) -> None:
    contents = (repository / "docs" / "site" / "guide.md").read_text(encoding="utf-8")
    contents += (repository / "docs" / "site" / "conf.py").read_text(encoding="utf-8")
    pages = [page.stem for page in (repository / "docs").glob("*.md")]
    assert not [name for name in pages if f"../{name}\n" not in contents and f"<docs/{name}>" not in contents]


@pytest.mark.all
@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(1800)
def test_the_site_is_built_without_a_warning_and_its_links_hold(repository: Path, tmp_path: Path) -> None:
    site = tmp_path.resolve() / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "-b", "html"]
    command += ["-c", "docs/site", "-d", str(tmp_path / "trees"), ".", str(site)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert broken(site) == []
    names = [page.stem for page in (repository / "notebooks").glob("*.ipynb")]
    assert names and all((site / "notebooks" / f"{name}.html").is_file() for name in names)
    assert (site / "index.html").is_file() and (site / "docs" / "api" / "reidlib.losses.html").is_file()
    figures = (site / "figures" / "README.html").read_text(encoding="utf-8")
    assert figures.count("<img") >= len([*(repository / "figures").glob("*.png")])
