"""Run bundles and recordings for the command line: their sensors, streams and outputs.

Doors: `real_time` and `virtual_time`, which run a session; `sensor_reader`, `recorder` and `takes`,
which record; `sources`, which gives the sensors;
`outputs`, `terminal`, `view_events` and `run_summary`, which show.
"""
