"""Sphinx configuration."""

import coev

project = "coev"
copyright = "2026, the coev developers"
release = version = coev.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"coev {version}"
autodoc_member_order = "bysource"
myst_heading_anchors = 3
