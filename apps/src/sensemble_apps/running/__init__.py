"""Run bundles and recordings for the command line: their sensors, streams and outputs.

Doors: `real_time` and `virtual_time`, which run a session; `sensor_reader`, `recorder`, `takes` and
`capture_summary`, which record; `sources` and `plug_schedule`, which give the sensors;
`outputs`, `terminal`, `view_events` and `run_summary`, which show.
"""
