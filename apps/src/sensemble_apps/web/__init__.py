"""The parts that every web page of this process shares, with browsers as sensors.

A page's own state, actions and files are in their own room (`live_page`, `studio`).

Doors: `site`, which writes the static page that runs a bundle by itself, and `browser`, which has a browser
run it; `security`, which says who may; `server` and `handlers`, which serve;
`clients` and `limits`, the WebSocket and its bounds; `viewers`, who are woken by each change; `page_sensors`,
the sensors of a page.
"""
