"""The report of a run and the page of its experiment, each one HTML file that loads nothing.

`evidence` reads a run folder; a page draws it with a template of `templates/`, and its charts with `svg`.

Doors: `run_page`, the report; `experiment`, the other page; `front`, its first page; `evidence`.
"""
