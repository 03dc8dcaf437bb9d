"""Session: sensors in, predictions and events out, while sensors come and go.

Holds the threads and their shared state, and the core without threads or clock: windows, live set, scheduler,
change gate.

Doors: `change_gate`, `hotplug`, `live_set`, `scheduler`, `sensor_host`, `sensor_set`, `sensor_thread`,
`session`.
"""
