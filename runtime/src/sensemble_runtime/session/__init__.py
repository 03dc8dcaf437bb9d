"""Session: sensors in, predictions and events out, while sensors come and go.

Enter here the threads and what they share, and the core that has no thread and no clock: windows, live set,
scheduler, change gate, suspicion.

Doors: `change_gate`, `hotplug`, `live_set`, `scheduler`, `sensor_host`, `sensor_set`, `sensor_thread`,
`session`, `suspicion`.
"""
