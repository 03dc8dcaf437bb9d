"""Running bundles and recordings for the command line: their sensors, their streams and their views.

Doors: `real_time`, `virtual_time`, `capture` and `takes`, which run; `sources`, `device_factory` and
`plug_schedule`, which give the sensors; `views`, `terminal`, `view_events` and `run_summary`, which show.
"""
