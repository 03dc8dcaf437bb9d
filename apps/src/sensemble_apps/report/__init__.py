"""The report of a run and the page of its experiment, each one HTML file that loads nothing.

`run_contents` reads a run folder; a page draws it with a template of `templates/`, and its charts with `svg`.

Doors: `run_page`, the report; `first_page`, its first page; `compare_page`, of two audits; `fleet_page`;
`experiment`, the other page; `run_contents`.
"""
